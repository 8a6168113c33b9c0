"""Write and read the record that stands for a machine's state in a snapshot.

A machine without processor and memory has little to keep; the record says by itself what it is, so that what
another program has stored is told from it.

The layout, numbers big-endian: 16 bytes of magic, a version of 4 bytes, the length of the document in 4,
its CRC-32 in 4, and the document, JSON in UTF-8.
"""

import json
import struct
import zlib
from typing import Any, Final

from qmpserver.errors import QMPError
from qmpserver.units import MiB

_MAGIC: Final = b"qmpserver state\n"
_VERSION: Final = 1
_HEAD: Final = struct.Struct(">16sIII")
MAX_RECORD: Final = MiB
"""Bytes of the longest record; nothing longer is one of ours."""


def pack(document: dict[str, Any]) -> bytes:
    """Return the record of a state."""
    body = json.dumps(document, sort_keys=True).encode()
    return _HEAD.pack(_MAGIC, _VERSION, len(body), zlib.crc32(body)) + body


HEAD_LENGTH: Final = _HEAD.size
"""Bytes of the head of a record, which say how long it is."""


def length_of(head: bytes) -> int:
    """Return the bytes that follow on the head of a record.

    Raises:
        QMPError: It is none of ours, or longer than any of ours.
    """
    if len(head) < _HEAD.size or not head.startswith(_MAGIC):
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
    if len(record) < _HEAD.size or not record.startswith(_MAGIC):
        raise QMPError("The snapshot holds the state of a machine that another program has saved")
    _, version, length, crc = _HEAD.unpack_from(record)
    if version != _VERSION:
        raise QMPError(f"The machine state is of version {version}, which is not known")
    body = record[_HEAD.size : _HEAD.size + length]
    if len(body) != length or zlib.crc32(body) != crc:
        raise QMPError("Error while loading vmstate: the record is damaged")
    document: dict[str, Any] = json.loads(body)
    return document
