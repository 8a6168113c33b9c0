"""Write requests and read replies, on a client's side.

Source: the NBD protocol, "Transmission", "Structured reply message".
"""

from dataclasses import dataclass
from typing import Final

from qmpserver.nbd import wire
from qmpserver.nbd.constants import (
    EXTENDED_REPLY_MAGIC,
    EXTENDED_REQUEST_MAGIC,
    MAX_PAYLOAD,
    REQUEST_MAGIC,
    SIMPLE_REPLY_MAGIC,
    STRUCTURED_REPLY_MAGIC,
    ChunkFlag,
    ChunkType,
    Command,
    CommandFlag,
)
from qmpserver.nbd.server_handshake import HeaderMode
from qmpserver.nbd.wire import Fields, ProtocolError

MAX_CHUNK: Final = MAX_PAYLOAD + (1 << 20)
"""Bytes of one chunk; a server that announces more is not believed."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a reply, without its content.

    Attributes:
        cookie: The request's.
        kind: What it holds; None for a simple reply, which holds a read's data, all of it.
        length: Bytes of content on the wire; 0 for a simple reply, whose request tells.
        is_last: The reply ends with it.
        error: Why the request failed; only in simple replies, 0 for a success.
    """

    cookie: int
    kind: int | None
    length: int
    is_last: bool
    error: int = 0


class RequestWriter:
    """Shape requests as they were negotiated.

    Args:
        mode: As negotiated.
    """

    def __init__(self, mode: HeaderMode) -> None:
        self._extended = mode is HeaderMode.EXTENDED

    def write(
        self,
        command: Command,
        cookie: int,
        offset: int = 0,
        length: int = 0,
        flags: CommandFlag = CommandFlag.NONE,
    ) -> bytes:
        """Return a request; a write's data follows it."""
        if self._extended:
            if command is Command.WRITE:
                flags |= CommandFlag.PAYLOAD_LEN
            return wire.EXTENDED_REQUEST.pack(EXTENDED_REQUEST_MAGIC, flags, command, cookie, offset, length)
        return wire.REQUEST.pack(REQUEST_MAGIC, flags, command, cookie, offset, length)


class ReplyReader:
    """Read the headers of replies.

    Args:
        mode: As negotiated.
    """

    def __init__(self, mode: HeaderMode) -> None:
        self._mode = mode

    def header_size(self, magic: int) -> int:
        """Return how long the header is that begins with `magic`, the magic included.

        Raises:
            ProtocolError: Nothing that was agreed on begins so.
        """
        if self._mode is HeaderMode.EXTENDED:
            if magic == EXTENDED_REPLY_MAGIC:
                return wire.EXTENDED_CHUNK.size
        elif magic == SIMPLE_REPLY_MAGIC:
            return wire.SIMPLE_REPLY.size
        elif magic == STRUCTURED_REPLY_MAGIC and self._mode is HeaderMode.STRUCTURED:
            return wire.CHUNK.size
        raise ProtocolError(f"Reply with the magic number {magic:#x}")

    def read(self, header: bytes) -> Chunk:
        """Read a header, whose length :meth:`header_size` told.

        Raises:
            ProtocolError: It is none.
        """
        magic = int.from_bytes(header[:4], "big")
        if magic == SIMPLE_REPLY_MAGIC:
            _, error, cookie = wire.SIMPLE_REPLY.unpack(header)
            return Chunk(cookie, None, 0, is_last=True, error=error)
        if magic == EXTENDED_REPLY_MAGIC:
            _, flags, kind, cookie, _, length = wire.EXTENDED_CHUNK.unpack(header)
        else:
            _, flags, kind, cookie, length = wire.CHUNK.unpack(header)
        if length > MAX_CHUNK:
            raise ProtocolError(f"Chunk of {length} bytes")
        is_last = bool(flags & ChunkFlag.DONE)
        if kind == ChunkType.NONE and (length or not is_last):
            raise ProtocolError("Empty chunk that is not the end of a reply")
        return Chunk(cookie, kind, length, is_last)


def is_error(kind: int) -> bool:
    """Say whether a chunk of that type reports an error, known or not."""
    return bool(kind & (1 << 15))


def read_error(content: bytes) -> tuple[int, str]:
    """Return the error and its text from an error chunk's content.

    Raises:
        ProtocolError: It is malformed.
    """
    try:
        fields = Fields(content)
        error = fields.u32()
        text = fields.take(fields.u16())
    except ValueError as problem:
        raise ProtocolError("Malformed error chunk") from problem
    if not error:
        raise ProtocolError("Error chunk without an error")
    return error, text.decode("utf-8", "replace")


def read_hole(content: bytes) -> tuple[int, int]:
    """Return offset and length of a hole.

    Raises:
        ProtocolError: It is malformed.
    """
    if len(content) != wire.HOLE.size:
        raise ProtocolError("Malformed hole chunk")
    offset, length = wire.HOLE.unpack(content)
    if not length:
        raise ProtocolError("Hole of no length")
    return offset, length


def read_block_status(kind: int, content: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Return a context's number and its extents, each a length in bytes and flags.

    Raises:
        ProtocolError: It is malformed.
    """
    if kind == ChunkType.BLOCK_STATUS_EXT:
        header, shape = wire.EXTENDED_STATUS_HEADER, wire.EXTENDED_STATUS
    else:
        header, shape = wire.U32, wire.STATUS
    body = len(content) - header.size
    if body < shape.size or body % shape.size:
        raise ProtocolError("Malformed block status chunk")
    context = header.unpack_from(content)[0]
    extents = [(length, flags) for length, flags in shape.iter_unpack(content[header.size :])]
    if not all(length for length, _ in extents):
        raise ProtocolError("Extent of no length")
    return context, extents
