"""Read requests and write replies, on a server's side.

Source: the NBD protocol, "Transmission", "Request message", "Structured reply message".
"""

import struct
from collections.abc import Sequence
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
    Error,
)
from qmpserver.nbd.server_handshake import HeaderMode
from qmpserver.nbd.wire import ProtocolError

_NO_DATA: Final = memoryview(b"")
_FILLING: Final = frozenset((Command.WRITE, Command.WRITE_ZEROES))
_WRITING: Final = _FILLING | {Command.TRIM}


@dataclass(slots=True)
class Request:
    """What a client asks for.

    Attributes:
        command: As the wire has it; may be none that there is.
        flags: Likewise.
        cookie: To be sent back with the reply.
        offset: First byte.
        length: Bytes concerned.
        payload: Bytes that follow on the wire, 0 for most.
        data: These bytes, once they have come.
    """

    command: int
    flags: int
    cookie: int
    offset: int
    length: int
    payload: int = 0
    data: memoryview = _NO_DATA


class RequestReader:
    """Take requests out of bytes.

    Args:
        mode: As negotiated.
    """

    def __init__(self, mode: HeaderMode) -> None:
        self._extended = mode is HeaderMode.EXTENDED
        self._shape: struct.Struct = wire.EXTENDED_REQUEST if self._extended else wire.REQUEST
        self._magic = EXTENDED_REQUEST_MAGIC if self._extended else REQUEST_MAGIC
        self.header_size = self._shape.size

    def read(self, buffer: bytes | bytearray | memoryview, at: int) -> Request:
        """Read the request whose header begins at `at`; all `header_size` bytes of it are there.

        Raises:
            ProtocolError: It is none, or has more data than may be sent.
        """
        magic, flags, command, cookie, offset, length = self._shape.unpack_from(buffer, at)
        if magic != self._magic:
            raise ProtocolError(f"request with the magic number {magic:#x}")
        payload = 0
        if command == Command.WRITE or (self._extended and flags & CommandFlag.PAYLOAD_LEN):
            payload = length
            if length > MAX_PAYLOAD:
                raise ProtocolError(f"request with {length} bytes of data")
        return Request(command, flags, cookie, offset, length, payload)


_ALLOWED_FLAGS: Final = {
    Command.READ: CommandFlag.DF,
    Command.WRITE: CommandFlag.PAYLOAD_LEN,
    Command.FLUSH: CommandFlag.NONE,
    Command.TRIM: CommandFlag.NONE,
    Command.CACHE: CommandFlag.NONE,
    Command.WRITE_ZEROES: CommandFlag.NO_HOLE | CommandFlag.FAST_ZERO,
    Command.BLOCK_STATUS: CommandFlag.REQ_ONE | CommandFlag.PAYLOAD_LEN,
}
"""What each command may have besides FUA, which every command may."""

_FORBIDDEN_FLAGS: Final = {
    command.value: ~(flags | CommandFlag.FUA).value for command, flags in _ALLOWED_FLAGS.items()
}
"""The same as plain numbers: this is looked at for every request."""


def problem_of(request: Request, size: int, *, read_only: bool) -> Error | None:
    """Return what forbids a request, or None when it may be carried out.

    A request that is not aligned to the smallest block is carried out all the same, as QEMU does.

    Args:
        request: What is asked.
        size: The export's size in bytes.
        read_only: Whether it may not be written.
    """
    command, length = request.command, request.length
    forbidden = _FORBIDDEN_FLAGS.get(command)
    if forbidden is None or request.flags & forbidden:
        return Error.EINVAL
    if read_only and command in _WRITING:
        return Error.EPERM
    if request.offset + length > size and command != Command.FLUSH:
        return Error.ENOSPC if command in _FILLING else Error.EINVAL
    return Error.EOVERFLOW if length > MAX_PAYLOAD and command == Command.READ else None


class ReplyWriter:
    """Shape replies as they were negotiated.

    Args:
        mode: As negotiated.
    """

    def __init__(self, mode: HeaderMode) -> None:
        self._is_simple = mode is HeaderMode.SIMPLE
        self._extended = mode is HeaderMode.EXTENDED
        shapes = {HeaderMode.SIMPLE: wire.SIMPLE_REPLY, HeaderMode.EXTENDED: wire.EXTENDED_DATA_CHUNK}
        self.read_header_size = shapes.get(mode, wire.DATA_CHUNK).size
        """Bytes of what :meth:`read_header` and :meth:`data_header` return."""

    def done(self, request: Request) -> bytes:
        """Return the reply to a request that succeeded and has nothing to tell."""
        if self._is_simple:
            return wire.simple_reply(request.cookie)
        if self._extended:
            return self._chunk(request, ChunkType.NONE, 0)
        return _pack_chunk(STRUCTURED_REPLY_MAGIC, _DONE, _NONE, request.cookie, 0)

    def failed(self, request: Request, error: Error, text: str = "") -> bytes:
        """Return the reply to a request that failed."""
        if self._is_simple:
            return wire.simple_reply(request.cookie, error)
        message = text.encode()[:MAX_ERROR_TEXT]
        content = wire.ERROR.pack(error, len(message)) + message
        return self._chunk(request, ChunkType.ERROR, len(content)) + content

    def read_header(self, request: Request) -> bytes:
        """Return what goes before all the data of a read that succeeded."""
        header = bytearray(self.read_header_size)
        self.put_read_header(header, request)
        return bytes(header)

    def put_read_header(self, into: bytearray | memoryview, request: Request) -> None:
        """Put what :meth:`read_header` returns at the beginning of `into`."""
        if self._is_simple:
            wire.SIMPLE_REPLY.pack_into(into, 0, SIMPLE_REPLY_MAGIC, 0, request.cookie)
        else:
            self._put_data_header(into, request, request.offset, request.length, _DONE)

    def data_header(self, request: Request, offset: int, length: int, *, is_last: bool) -> bytes:
        """Return what goes before one piece of a structured reply's data."""
        header = bytearray(self.read_header_size)
        self._put_data_header(header, request, offset, length, _DONE if is_last else 0)
        return bytes(header)

    def _put_data_header(
        self, into: bytearray | memoryview, request: Request, offset: int, length: int, flags: int
    ) -> None:
        cookie, length = request.cookie, length + wire.U64.size
        if self._extended:
            head = EXTENDED_REPLY_MAGIC, flags, _OFFSET_DATA, cookie, request.offset, length
            wire.EXTENDED_DATA_CHUNK.pack_into(into, 0, *head, offset)
        else:
            _pack_data_chunk(into, 0, STRUCTURED_REPLY_MAGIC, flags, _OFFSET_DATA, cookie, length, offset)

    def hole(self, request: Request, offset: int, length: int, *, is_last: bool) -> bytes:
        """Return a piece of a structured reply that is zeroes."""
        flags = ChunkFlag.DONE if is_last else ChunkFlag.NONE
        header = self._chunk(request, ChunkType.OFFSET_HOLE, wire.HOLE.size, flags)
        return header + wire.HOLE.pack(offset, length)

    def block_status(
        self, request: Request, context: int, extents: Sequence[tuple[int, int]], *, is_last: bool
    ) -> bytes:
        """Return what one context says.

        Args:
            request: The request.
            context: The context's number.
            extents: Lengths in bytes and flags, from the request's offset on.
            is_last: No other context follows.
        """
        flags = ChunkFlag.DONE if is_last else ChunkFlag.NONE
        if self._extended:
            packed = b"".join(wire.EXTENDED_STATUS.pack(*extent) for extent in extents)
            content = wire.EXTENDED_STATUS_HEADER.pack(context, len(extents)) + packed
            return self._chunk(request, ChunkType.BLOCK_STATUS_EXT, len(content), flags) + content
        packed = b"".join(wire.STATUS.pack(*extent) for extent in extents)
        content = wire.U32.pack(context) + packed
        return self._chunk(request, ChunkType.BLOCK_STATUS, len(content), flags) + content

    def _chunk(
        self, request: Request, kind: ChunkType, length: int, flags: ChunkFlag = ChunkFlag.DONE
    ) -> bytes:
        return wire.chunk(request.cookie, kind, length, flags, extended=self._extended, offset=request.offset)


# At hand for the replies that a busy server sends most.
_DONE: Final = ChunkFlag.DONE.value
_NONE: Final = ChunkType.NONE.value
_OFFSET_DATA: Final = ChunkType.OFFSET_DATA.value
_pack_chunk: Final = wire.CHUNK.pack
_pack_data_chunk: Final = wire.DATA_CHUNK.pack_into

MAX_ERROR_TEXT: Final = 4096
"""Bytes of an error's text."""
