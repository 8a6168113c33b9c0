"""Keep the objects that users create beside the graph: secrets, I/O threads, throttle groups."""

import errno
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from qmpserver.clock import Clock, SystemClock
from qmpserver.crypto.secret_data import decode_secret
from qmpserver.driver_api.secrets import SecretSource
from qmpserver.errors import QMPError, error_text
from qmpserver.qom.authz import Authorization, ListAuthorization, SimpleAuthorization
from qmpserver.qom.iothread import IOThread
from qmpserver.qom.throttle_group import ThrottleGroupObject, make_throttle_group
from qmpserver.qom.tls_creds import TlsCredentials, make_credentials
from qmpserver.qom.user_object import UserObject
from qmpserver.throttling.group import ThrottleGroup

_WELL_FORMED = re.compile(r"[A-Za-z][A-Za-z0-9\-._]*\Z")

MAX_SECRET_FILE = 16 << 20
"""A secret's file larger than this is refused, as surely not a secret."""


@dataclass(frozen=True, slots=True)
class Secret(UserObject):
    """A password or key that others refer to by id."""

    data: bytes

    def __repr__(self) -> str:
        return f"Secret({self.object_id!r})"


def _make_secret(
    secrets: SecretSource, object_id: str, qom_type: str, properties: dict[str, Any]
) -> UserObject:
    data = decode_secret(_secret_bytes(properties), properties, secrets)
    shown = {key: value for key, value in properties.items() if key != "data"}
    return Secret(object_id, qom_type, shown, data)


def _secret_bytes(properties: dict[str, Any]) -> bytes:
    data, filename = properties.get("data"), properties.get("file")
    if data is not None and filename is not None:
        raise QMPError("'file' and 'data' are mutually exclusive")
    if data is not None:
        return str(data).encode()
    if filename is None:
        raise QMPError("Either 'file' or 'data' must be provided")
    try:
        with open(filename, "rb") as file:
            content = file.read(MAX_SECRET_FILE + 1)
    except OSError as error:
        failed = "Error reading" if error.errno == errno.EISDIR else "Failed to open"
        raise QMPError(
            f"Unable to read {filename}: {failed} file \u201c{filename}\u201d: {error_text(error)}"
        ) from error
    if len(content) > MAX_SECRET_FILE:
        raise QMPError(f"Unable to read {filename}: larger than {MAX_SECRET_FILE} bytes")
    return content


Maker = Callable[[str, str, dict[str, Any]], UserObject]
"""Makes an object of its id, its type, and what else was said of it."""


class ObjectStore:
    """All user-created objects, by id.

    Args:
        clock: What throttle groups tell the time by.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._objects: dict[str, UserObject] = {}
        self._makers: dict[str, Maker] = {
            "iothread": IOThread,
            "secret": partial(_make_secret, self.secret),
            "throttle-group": partial(make_throttle_group, clock or SystemClock()),
            "authz-list": ListAuthorization,
            "authz-simple": SimpleAuthorization,
            **dict.fromkeys(
                ("tls-creds-anon", "tls-creds-psk", "tls-creds-x509"), partial(make_credentials, self.secret)
            ),
        }

    def add_maker(self, qom_type: str, maker: Maker) -> None:
        """Let objects of another type be made, by somebody who knows how."""
        self._makers[qom_type] = maker

    def items(self) -> Mapping[str, UserObject]:
        """Return all objects by id, the oldest first."""
        return dict(self._objects)

    def add(self, options: dict[str, Any]) -> UserObject:
        """Create an object.

        Args:
            options: As ``object-add`` takes them: `qom-type`, `id` and the type's own members.

        Raises:
            QMPError: The id is malformed or taken, the type is unknown, or a member's value is no use.
        """
        properties = dict(options)
        qom_type, object_id = properties.pop("qom-type"), properties.pop("id")
        if not _WELL_FORMED.match(object_id):
            raise QMPError("Parameter 'id' expects an identifier")
        if object_id in self._objects:
            raise QMPError(f"attempt to add duplicate property '{object_id}' to object (type 'container')")
        maker = self._makers.get(qom_type)
        if maker is None:
            raise QMPError(f"Parameter 'qom-type' does not accept value '{qom_type}'")
        made = maker(object_id, qom_type, properties)
        self._objects[object_id] = made
        return made

    def remove(self, object_id: str) -> None:
        """Delete an object.

        Raises:
            QMPError: There is none of that id, or something needs it.
        """
        found = self._objects.get(object_id)
        if found is None:
            raise QMPError(f"object '{object_id}' not found")
        found.check_unused()
        del self._objects[object_id]
        found.deleted()

    def throttle_group(self, object_id: str) -> ThrottleGroup:
        """Return the throttle group of that id.

        Raises:
            QMPError: There is none.
        """
        found = self._objects.get(object_id)
        if not isinstance(found, ThrottleGroupObject):
            raise QMPError(f"Throttle group '{object_id}' does not exist")
        return found.group

    def credentials(self, object_id: str, *, is_server: bool) -> TlsCredentials:
        """Return the TLS credentials of that id, for one end of a connection.

        Raises:
            QMPError: There are none, or they are for the other end.
        """
        found = self._objects.get(object_id)
        if found is None:
            raise QMPError(f"No TLS credentials with id '{object_id}'")
        if not isinstance(found, TlsCredentials):
            raise QMPError(f"Object with id '{object_id}' is not TLS credentials")
        if found.is_server != is_server:
            raise QMPError(f"Expecting TLS credentials with a {'server' if is_server else 'client'} endpoint")
        return found

    def authorization(self, object_id: str) -> Authorization:
        """Return the object of that id that says who may come in.

        Raises:
            QMPError: There is none.
        """
        found = self._objects.get(object_id)
        if not isinstance(found, Authorization):
            raise QMPError(f"Cannot find QAuthZ object ID {object_id}")
        return found

    def get(self, object_id: str) -> UserObject | None:
        """Return the object of that id, or None."""
        return self._objects.get(object_id)

    def secret(self, object_id: str) -> bytes:
        """Return the bytes of a secret; the server's :data:`SecretSource`.

        Raises:
            QMPError: There is no object of that id, or it is no secret.
        """
        found = self._objects.get(object_id)
        if found is None:
            raise QMPError(f"No secret with id '{object_id}'")
        if not isinstance(found, Secret):
            raise QMPError(f"Object with id '{object_id}' is not a secret")
        return found.data
