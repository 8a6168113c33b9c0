"""Secrets as objects: passwords and keys that others refer to by id."""

import errno
from dataclasses import dataclass
from typing import Any

from qmpserver.crypto.secret_data import decode_secret
from qmpserver.driver_api.secrets import SecretSource
from qmpserver.errors import QMPError, error_text
from qmpserver.qom.user_object import UserObject

MAX_SECRET_FILE = 16 << 20
"""A secret's file larger than this is refused, as surely not a secret."""


@dataclass(frozen=True, slots=True)
class Secret(UserObject):
    """A password or key that others refer to by id."""

    data: bytes

    def __repr__(self) -> str:
        return f"Secret({self.object_id!r})"


def make_secret(
    secrets: SecretSource, object_id: str, qom_type: str, properties: dict[str, Any]
) -> UserObject:
    """Make a secret; its data is shown to nobody.

    Raises:
        QMPError: It cannot be read or decoded.
    """
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
