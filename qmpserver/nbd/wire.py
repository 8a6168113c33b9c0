"""Pack and unpack the fixed shapes of the protocol; all numbers are big-endian."""

import struct
from collections.abc import Iterable
from typing import Final

from qmpserver.nbd.constants import (
    EXTENDED_REPLY_MAGIC,
    OPTION_MAGIC,
    OPTION_REPLY_MAGIC,
    SIMPLE_REPLY_MAGIC,
    STRUCTURED_REPLY_MAGIC,
    ChunkFlag,
    ChunkType,
    Option,
    OptionReply,
)

GREETING: Final = struct.Struct(">QQH")
CLIENT_FLAGS: Final = struct.Struct(">I")
OPTION_HEADER: Final = struct.Struct(">QII")
OPTION_REPLY_HEADER: Final = struct.Struct(">QIII")
U16: Final = struct.Struct(">H")
U32: Final = struct.Struct(">I")
U64: Final = struct.Struct(">Q")
EXPORT: Final = struct.Struct(">QH")
INFO_EXPORT: Final = struct.Struct(">HQH")
INFO_BLOCK_SIZE: Final = struct.Struct(">HIII")
REQUEST: Final = struct.Struct(">IHHQQI")
EXTENDED_REQUEST: Final = struct.Struct(">IHHQQQ")
SIMPLE_REPLY: Final = struct.Struct(">IIQ")
CHUNK: Final = struct.Struct(">IHHQI")
EXTENDED_CHUNK: Final = struct.Struct(">IHHQQQ")
DATA_CHUNK: Final = struct.Struct(">IHHQIQ")
EXTENDED_DATA_CHUNK: Final = struct.Struct(">IHHQQQQ")
HOLE: Final = struct.Struct(">QI")
ERROR: Final = struct.Struct(">IH")
STATUS: Final = struct.Struct(">II")
EXTENDED_STATUS: Final = struct.Struct(">QQ")
EXTENDED_STATUS_HEADER: Final = struct.Struct(">II")

ZERO_PADDING: Final = bytes(124)
"""What follows the reply to EXPORT_NAME unless both sides do without it."""


class ProtocolError(Exception):
    """Report that the other side does not keep to the protocol; the connection is of no use any more."""


def option(kind: Option | int, data: bytes = b"") -> bytes:
    """Return an option as a client sends it."""
    return OPTION_HEADER.pack(OPTION_MAGIC, kind, len(data)) + data


def option_reply(kind: Option | int, reply: OptionReply, data: bytes = b"") -> bytes:
    """Return one reply to an option."""
    return OPTION_REPLY_HEADER.pack(OPTION_REPLY_MAGIC, kind, reply, len(data)) + data


def text(string: str) -> bytes:
    """Return a string after its length."""
    encoded = string.encode("utf-8", "surrogateescape")
    return U32.pack(len(encoded)) + encoded


def simple_reply(cookie: int, error: int = 0) -> bytes:
    """Return a simple reply; the data of a read that succeeded follows it."""
    return SIMPLE_REPLY.pack(SIMPLE_REPLY_MAGIC, error, cookie)


def chunk(
    cookie: int,
    kind: ChunkType,
    length: int,
    flags: ChunkFlag = ChunkFlag.DONE,
    *,
    extended: bool = False,
    offset: int = 0,
) -> bytes:
    """Return a chunk's header; `length` bytes follow it.

    Args:
        cookie: The request's.
        kind: What follows.
        length: Bytes that follow.
        flags: Whether it is the reply's last.
        extended: The connection has extended headers.
        offset: The request's offset, which extended headers repeat.
    """
    if extended:
        return EXTENDED_CHUNK.pack(EXTENDED_REPLY_MAGIC, flags, kind, cookie, offset, length)
    return CHUNK.pack(STRUCTURED_REPLY_MAGIC, flags, kind, cookie, length)


class Fields:
    """Take the fields of an option's data one after the other.

    Args:
        data: All of it.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def u16(self) -> int:
        """Take a 16-bit number."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """Take a 32-bit number."""
        return int.from_bytes(self.take(4), "big")

    def u64(self) -> int:
        """Take a 64-bit number."""
        return int.from_bytes(self.take(8), "big")

    def text(self, limit: int) -> str:
        """Take a string after its length.

        Raises:
            ValueError: It is longer than `limit` bytes, or than what is left.
        """
        length = self.u32()
        if length > limit:
            raise ValueError("name too long")
        return self.take(length).decode("utf-8", "surrogateescape")

    def take(self, length: int) -> bytes:
        """Take bytes.

        Raises:
            ValueError: There are not as many.
        """
        end = self._at + length
        if end > len(self._data):
            raise ValueError("option too short")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def rest(self) -> bytes:
        """Take all that is left."""
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        """Make sure that nothing is left.

        Raises:
            ValueError: Something is.
        """
        if self._at != len(self._data):
            raise ValueError("option too long")


def texts(strings: Iterable[str]) -> bytes:
    """Return strings after their number, each after its length."""
    listed = [text(string) for string in strings]
    return U32.pack(len(listed)) + b"".join(listed)
