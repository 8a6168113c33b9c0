"""Say how connections are encrypted, and who may come in."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass

Admits = Callable[[str], bool]
"""Says whether somebody of that name, a certificate's subject, may come in."""


@dataclass(frozen=True, slots=True)
class TlsServer:
    """How a server encrypts.

    Attributes:
        context: Made of its credentials.
        admits: Asked about each client, or None when all may come in.
    """

    context: ssl.SSLContext
    admits: Admits | None = None

    def admits_peer(self, connection: ssl.SSLSocket) -> bool:
        """Say whether the client at the other end of an encrypted connection may come in."""
        return self.admits is None or self.admits(subject_of(connection))


def subject_of(connection: ssl.SSLSocket) -> str:
    """Return the subject of the other side's certificate, the most particular part first; empty without one.

    Source: RFC 4514, "String Representation of Distinguished Names".
    """
    certificate = connection.getpeercert() or {}
    parts = [
        f"{_SHORT_NAMES.get(str(name), str(name))}={_escape(str(value))}"
        for group in reversed(certificate.get("subject", ()))
        for name, value in group
    ]
    return ",".join(parts)


_SHORT_NAMES = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}


def _escape(value: str) -> str:
    return "".join("\\" + letter if letter in ',+"\\<>;' else letter for letter in value)
