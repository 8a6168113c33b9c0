"""Write and read the record that stands for a machine's state, in a snapshot and on its way to another process.

A machine without processor and memory has little to keep; the record says by itself what it is, so that what
another program has stored is told from it.

The layout, numbers big-endian: 16 bytes of magic, a version of 4 bytes, the length of the document in 4,
its CRC-32 in 4, and the document, JSON in UTF-8.
"""

import json
import struct
import zlib
from typing import Any, Final, Protocol

from qmpserver.errors import QMPError
from qmpserver.units import MiB

_MAGIC: Final = b"qmpserver state\n"
_VERSION: Final = 1
_HEAD: Final = struct.Struct(">16sIII")
MAX_RECORD: Final = 64 * MiB
"""Bytes of the longest record; nothing longer is one of ours."""


class StateKeeper(Protocol):
    """Who knows the state of the machine that images belong to."""

    def stop_to_save(self) -> dict[str, Any]:
        """Stop the machine, and return what is to be kept of it; `go_on` comes next."""

    def stop_to_load(self) -> None:
        """Stop the machine, because its images go back; `go_on` comes next when they have."""

    def check(self, document: dict[str, Any]) -> None:
        """See whether what was kept is of such a machine.

        Raises:
            QMPError: It is not.
        """

    def restore(self, document: dict[str, Any]) -> None:
        """Have the state that was kept, and checked."""

    def go_on(self) -> None:
        """Let the machine go on, if it ran before."""


class NoMachine:
    """The state of a server that has no machine: there is none."""

    def stop_to_save(self) -> dict[str, Any]:
        """Return that there is no machine."""
        return {"machine": None}

    def stop_to_load(self) -> None:
        """Do nothing."""

    def check(self, document: dict[str, Any]) -> None:
        """Accept every state: images belong to whoever opens them."""

    def restore(self, document: dict[str, Any]) -> None:
        """Do nothing."""

    def go_on(self) -> None:
        """Do nothing."""


NO_MACHINE: Final = NoMachine()


def pack(document: dict[str, Any]) -> bytes:
    """Return the record of a state.

    Raises:
        QMPError: It is too long.
    """
    body = json.dumps(document, sort_keys=True).encode()
    if len(body) > MAX_RECORD:
        raise QMPError(f"A machine state of {len(body)} bytes is too long")
    return _HEAD.pack(_MAGIC, _VERSION, len(body), zlib.crc32(body)) + body


HEAD_LENGTH: Final = _HEAD.size
"""Bytes of the head of a record, which say how long it is."""


def is_ours(head: bytes) -> bool:
    """Say whether this is the head of one of our records."""
    return len(head) >= _HEAD.size and head.startswith(_MAGIC)


def length_of(head: bytes) -> int:
    """Return the bytes that follow on the head of a record.

    Raises:
        QMPError: It is none of ours, or longer than any of ours.
    """
    if not is_ours(head):
        raise QMPError("This is not the state of a machine that this program has saved")
    length: int = _HEAD.unpack_from(head)[2]
    if length > MAX_RECORD:
        raise QMPError(f"A machine state of {length} bytes is too long")
    return length


def parse(record: bytes) -> dict[str, Any]:
    """Return the state of a record; what follows it does not matter.

    Raises:
        QMPError: It is not one of ours, is damaged, or of a newer version.
    """
    if not is_ours(record):
        raise QMPError("The snapshot holds the state of a machine that another program has saved")
    _, version, length, crc = _HEAD.unpack_from(record)
    if version != _VERSION:
        raise QMPError(f"The machine state is of version {version}, which is not known")
    body = record[_HEAD.size : _HEAD.size + length]
    if len(body) != length or zlib.crc32(body) != crc:
        raise QMPError("Error while loading vmstate: the record is damaged")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise QMPError("Error while loading vmstate: the record holds no document") from error
    if not isinstance(document, dict):
        raise QMPError("Error while loading vmstate: the record holds no document")
    return document
