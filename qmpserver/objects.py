"""Keep the objects that users create beside the graph: secrets, I/O threads."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qmpserver.errors import QMPError, error_text

_WELL_FORMED = re.compile(r"[A-Za-z][A-Za-z0-9\-._]*\Z")

MAX_SECRET_FILE = 16 << 20
"""A secret's file larger than this is refused, as surely not a secret."""


@dataclass(frozen=True, slots=True)
class UserObject:
    """An object with no behaviour here: it is known, shown and referred to by its id.

    QEMU: an `iothread` runs the requests of nodes moved to it; here one event loop runs them all,
    so it is accepted for the sake of those that create it.
    """

    object_id: str
    qom_type: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Secret(UserObject):
    """A password or key that others refer to by id."""

    data: bytes

    def __repr__(self) -> str:
        return f"Secret({self.object_id!r})"


def _make_plain(object_id: str, qom_type: str, properties: dict[str, Any]) -> UserObject:
    return UserObject(object_id, qom_type, properties)


def _make_secret(object_id: str, qom_type: str, properties: dict[str, Any]) -> UserObject:
    data = _secret_bytes(properties)
    if properties.get("format", "raw") == "base64":
        try:
            data = base64.b64decode(data, validate=True)
        except (ValueError, binascii.Error) as error:
            raise QMPError("Base64 data contains invalid characters") from error
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
        raise QMPError(
            f"Unable to read {filename}: Failed to open file \u201c{filename}\u201d: {error_text(error)}"
        ) from error
    if len(content) > MAX_SECRET_FILE:
        raise QMPError(f"Unable to read {filename}: larger than {MAX_SECRET_FILE} bytes")
    return content


_MAKERS: dict[str, Callable[[str, str, dict[str, Any]], UserObject]] = {
    "iothread": _make_plain,
    "secret": _make_secret,
}


class ObjectStore:
    """All user-created objects, by id."""

    def __init__(self) -> None:
        self._objects: dict[str, UserObject] = {}

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
        maker = _MAKERS.get(qom_type)
        if maker is None:
            raise QMPError(f"Parameter 'qom-type' does not accept value '{qom_type}'")
        self._check_key(properties)
        made = maker(object_id, qom_type, properties)
        self._objects[object_id] = made
        return made

    def _check_key(self, properties: Mapping[str, Any]) -> None:
        """Refuse a secret that is itself encrypted; decrypting those is not built yet."""
        key_id = properties.get("keyid")
        if key_id is None:
            return
        if key_id not in self._objects:
            raise QMPError(f"No secret with id '{key_id}'")
        raise QMPError("Secrets encrypted with another secret ('keyid') are not supported yet")

    def remove(self, object_id: str) -> None:
        """Delete an object.

        Raises:
            QMPError: There is none of that id.
        """
        if self._objects.pop(object_id, None) is None:
            raise QMPError(f"object '{object_id}' not found")

    def get(self, object_id: str) -> UserObject | None:
        """Return the object of that id, or None."""
        return self._objects.get(object_id)
