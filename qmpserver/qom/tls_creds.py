"""TLS credentials as objects: where their files are, and what connections are encrypted with.

``tls-creds-x509`` is served whole.  ``tls-creds-psk`` needs a Python whose TLS knows pre-shared keys (3.13) and says
so where it is used.  ``tls-creds-anon`` is accepted and shown; NBD has no use for it, in QEMU either.
"""

import os
import ssl
from dataclasses import dataclass
from typing import Any

from qmpserver.driver_api.secrets import SecretSource
from qmpserver.errors import QMPError, error_text
from qmpserver.qom.user_object import UserObject

_CA_CERT, _CA_CRL = "ca-cert.pem", "ca-crl.pem"
_PSK_FILE = "keys.psk"


@dataclass(frozen=True, slots=True)
class TlsCredentials(UserObject):
    """Credentials of any kind.

    Attributes:
        secrets: Where the passwords of keys come from.
    """

    secrets: SecretSource

    @property
    def is_server(self) -> bool:
        """Whether they are a server's."""
        return bool(self.properties.get("endpoint", "client") == "server")

    def get_property(self, name: str) -> Any:
        """Return the value of a property."""
        if name == "endpoint":
            return self.properties.get("endpoint", "client")
        if name == "verify-peer":
            return self.properties.get("verify-peer", True)
        return super(TlsCredentials, self).get_property(name)

    def context(self) -> ssl.SSLContext:
        """Make what connections are encrypted with.

        Raises:
            QMPError: That cannot be had with credentials of this kind, or of these files.
        """
        raise QMPError(f"Credentials of type {self.qom_type} are of no use here")


class AnonymousCredentials(TlsCredentials):
    """Encryption with nobody known to anybody."""


class PskCredentials(TlsCredentials):
    """A key that both sides know."""

    def context(self) -> ssl.SSLContext:
        """Make what connections are encrypted with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if self.is_server else ssl.PROTOCOL_TLS_CLIENT)
        use_keys = getattr(context, f"set_psk_{'server' if self.is_server else 'client'}_callback", None)
        if use_keys is None:
            raise QMPError("TLS with pre-shared keys needs Python 3.13 or newer")
        keys = _read_keys(self._file(_PSK_FILE))
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("PSK")
        if self.is_server:
            use_keys(lambda identity: keys.get(identity or "", b""))
            return context
        username = self.properties.get("username", "qemu")
        if username not in keys:
            raise QMPError(f"Username '{username}' not found in PSK file")
        use_keys(lambda _hint: (username, keys[username]))
        return context

    def _file(self, name: str) -> str:
        return os.path.join(self.properties["dir"], name)


class X509Credentials(TlsCredentials):
    """Certificates."""

    def context(self) -> ssl.SSLContext:
        """Make what connections are encrypted with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if self.is_server else ssl.PROTOCOL_TLS_CLIENT)
        # Whose certificate it must be is checked by who connects: names may differ from the address.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED if self.get_property("verify-peer") else ssl.CERT_NONE
        side = "server" if self.is_server else "client"
        try:
            context.load_verify_locations(self._file(_CA_CERT))
            if os.path.exists(self._file(_CA_CRL)):
                context.load_verify_locations(self._file(_CA_CRL))
                context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
            certificate, key = self._file(f"{side}-cert.pem"), self._file(f"{side}-key.pem")
            if os.path.exists(certificate):
                context.load_cert_chain(certificate, key, self._password)
        except ssl.SSLError as error:
            raise QMPError(
                f"Unable to use the credentials in {self.properties['dir']}: {error.reason}"
            ) from error
        except OSError as error:
            raise QMPError(
                f"Unable to use the credentials in {self.properties['dir']}: {error_text(error)}"
            ) from error
        return context

    def _password(self) -> bytes:
        password_id = self.properties.get("passwordid")
        return self.secrets(password_id) if password_id is not None else b""

    def _file(self, name: str) -> str:
        return os.path.join(self.properties["dir"], name)


def make_credentials(
    secrets: SecretSource, object_id: str, qom_type: str, properties: dict[str, Any]
) -> TlsCredentials:
    """Make credentials of what ``object-add`` says.

    Raises:
        QMPError: A file is missing or cannot be used.
    """
    made = _KINDS[qom_type](object_id, qom_type, properties, secrets)
    if qom_type == "tls-creds-anon":
        return made
    if "dir" not in properties:
        raise QMPError("Missing 'dir' property value")
    if qom_type == "tls-creds-psk":
        if made.is_server and "username" in properties:
            raise QMPError("username should not be set when endpoint=server")
        _check_there(properties["dir"], _PSK_FILE)
        return made
    _check_there(properties["dir"], _CA_CERT)
    if made.is_server:
        _check_there(properties["dir"], "server-cert.pem")
        _check_there(properties["dir"], "server-key.pem")
    made.context()
    return made


_KINDS = {
    "tls-creds-anon": AnonymousCredentials,
    "tls-creds-psk": PskCredentials,
    "tls-creds-x509": X509Credentials,
}


def _check_there(folder: str, name: str) -> None:
    path = os.path.join(folder, name)
    try:
        os.stat(path)
    except OSError as error:
        raise QMPError(f"Unable to access credentials {path}: {error_text(error)}") from error


def _read_keys(path: str) -> dict[str, bytes]:
    """Read lines of a name, a colon and a key in hexadecimal."""
    keys: dict[str, bytes] = {}
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                name, colon, key = line.strip().partition(":")
                if colon:
                    keys[name] = bytes.fromhex(key)
    except (OSError, ValueError) as error:
        raise QMPError(f"Cannot read the keys in {path}") from error
    return keys
