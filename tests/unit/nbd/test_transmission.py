"""Requests and replies, written by one side and read by the other."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpserver.nbd import wire
from qmpserver.nbd.client_replies import (
    ReplyReader,
    RequestWriter,
    is_error,
    read_block_status,
    read_error,
    read_hole,
)
from qmpserver.nbd.constants import (
    MAX_PAYLOAD,
    ChunkType,
    Command,
    CommandFlag,
    Error,
    errno_of,
    error_of,
)
from qmpserver.nbd.server_handshake import HeaderMode
from qmpserver.nbd.server_requests import ReplyWriter, Request, RequestReader, problem_of
from qmpserver.nbd.wire import ProtocolError

MODES = list(HeaderMode)


@pytest.mark.parametrize("mode", MODES)
@given(
    command=st.sampled_from(list(Command)),
    cookie=st.integers(0, (1 << 64) - 1),
    offset=st.integers(0, (1 << 64) - 1),
    length=st.integers(0, MAX_PAYLOAD),
)
def test_a_request_is_read_as_it_was_written(
    mode: HeaderMode, command: Command, cookie: int, offset: int, length: int
) -> None:
    line = RequestWriter(mode).write(command, cookie, offset, length, CommandFlag.FUA)
    reader = RequestReader(mode)
    assert len(line) == reader.header_size
    request = reader.read(b"before" + line, 6)
    assert (request.command, request.cookie, request.offset, request.length) == (
        command,
        cookie,
        offset,
        length,
    )
    assert request.payload == (length if command is Command.WRITE else 0)


@pytest.mark.parametrize("mode", MODES)
def test_a_request_that_is_none_ends_the_connection(mode: HeaderMode) -> None:
    reader = RequestReader(mode)
    with pytest.raises(ProtocolError):
        reader.read(bytes(reader.header_size), 0)
    line = RequestWriter(mode).write(Command.WRITE, 1, 0, MAX_PAYLOAD + 1)
    with pytest.raises(ProtocolError):
        reader.read(line, 0)


SIZE = 1 << 20
PROBLEMS = [
    (Command.READ, 0, 0, SIZE, None),
    (Command.READ, 0, 1, SIZE, Error.EINVAL),
    (Command.WRITE, 0, SIZE, 1, Error.ENOSPC),
    (Command.WRITE_ZEROES, CommandFlag.NO_HOLE, SIZE, 512, Error.ENOSPC),
    (Command.TRIM, 0, SIZE, 512, Error.EINVAL),
    (Command.WRITE, CommandFlag.FUA, 0, 512, None),
    (Command.WRITE, CommandFlag.DF, 0, 512, Error.EINVAL),
    (Command.READ, 1 << 9, 0, 512, Error.EINVAL),
    (Command.FLUSH, 0, 5, 77, None),
    (Command.RESIZE, 0, 0, 512, Error.EINVAL),
    (99, 0, 0, 512, Error.EINVAL),
    (Command.READ, 0, 1, 511, None),
    (Command.READ, 0, (1 << 64) - 1, 512, Error.EINVAL),
]


@pytest.mark.parametrize(("command", "flags", "offset", "length", "problem"), PROBLEMS)
def test_what_cannot_be_done_is_told(
    command: int, flags: int, offset: int, length: int, problem: Error | None
) -> None:
    request = Request(command, flags, 1, offset, length)
    assert problem_of(request, SIZE, read_only=False) is problem


def test_a_read_only_export_is_not_written_and_a_large_read_is_too_large() -> None:
    for command in (Command.WRITE, Command.TRIM, Command.WRITE_ZEROES):
        assert problem_of(Request(command, 0, 1, 0, 512), SIZE, read_only=True) is Error.EPERM
    large = Request(Command.READ, 0, 1, 0, MAX_PAYLOAD + 1)
    assert problem_of(large, 1 << 40, read_only=True) is Error.EOVERFLOW


REQUEST = Request(Command.READ, 0, 42, 4096, 512)


def read(mode: HeaderMode, data: bytes) -> tuple[int, int | None, bool, int, bytes]:
    reader = ReplyReader(mode)
    size = reader.header_size(int.from_bytes(data[:4], "big"))
    chunk = reader.read(data[:size])
    content = data[size:]
    assert len(content) == chunk.length
    return chunk.cookie, chunk.kind, chunk.is_last, chunk.error, content


@pytest.mark.parametrize("mode", MODES)
def test_replies_are_read_as_they_were_written(mode: HeaderMode) -> None:
    writer = ReplyWriter(mode)
    cookie, kind, is_last, error, _ = read(mode, writer.done(REQUEST))
    assert (cookie, kind or 0, is_last, error) == (42, 0, True, 0)
    _, kind, is_last, error, content = read(mode, writer.failed(REQUEST, Error.ENOSPC, "full"))
    assert is_last
    if mode is HeaderMode.SIMPLE:
        assert (kind, error) == (None, Error.ENOSPC)
    else:
        assert kind is not None
        assert is_error(kind)
        assert read_error(content) == (Error.ENOSPC, "full")


@pytest.mark.parametrize("mode", [HeaderMode.STRUCTURED, HeaderMode.EXTENDED])
def test_holes_and_block_status_are_read_as_they_were_written(mode: HeaderMode) -> None:
    writer = ReplyWriter(mode)
    _, kind, is_last, _, content = read(mode, writer.hole(REQUEST, 4096, 512, is_last=False))
    assert (kind, is_last, read_hole(content)) == (ChunkType.OFFSET_HOLE, False, (4096, 512))
    extents = [(512, 3), (1024, 0)]
    _, kind, is_last, _, content = read(mode, writer.block_status(REQUEST, 2, extents, is_last=True))
    assert kind is not None
    assert is_last
    assert read_block_status(kind, content) == (2, extents)


def test_the_header_of_data_names_its_place() -> None:
    header = ReplyWriter(HeaderMode.STRUCTURED).data_header(REQUEST, 4096, 512, is_last=True)
    assert header[wire.CHUNK.size :] == (4096).to_bytes(8, "big")
    assert wire.CHUNK.unpack_from(header)[4] == 512 + 8


@pytest.mark.parametrize("mode", MODES)
def test_the_header_of_all_data_may_be_put_where_the_data_goes(mode: HeaderMode) -> None:
    writer = ReplyWriter(mode)
    header = writer.read_header(REQUEST)
    assert len(header) == writer.read_header_size
    if mode is not HeaderMode.SIMPLE:
        assert header == writer.data_header(REQUEST, REQUEST.offset, REQUEST.length, is_last=True)
    room = memoryview(bytearray(b"\xff" * 64))
    writer.put_read_header(room, REQUEST)
    assert bytes(room) == header + b"\xff" * (64 - len(header))


@pytest.mark.parametrize(
    ("read_content", "content"),
    [
        (read_error, b""),
        (read_error, bytes(6)),
        (read_error, wire.ERROR.pack(5, 10) + b"short"),
        (read_hole, bytes(11)),
        (read_hole, bytes(12)),
        (lambda content: read_block_status(ChunkType.BLOCK_STATUS, content), bytes(4)),
        (lambda content: read_block_status(ChunkType.BLOCK_STATUS, content), bytes(13)),
        (lambda content: read_block_status(ChunkType.BLOCK_STATUS, content), bytes(12)),
        (lambda content: read_block_status(ChunkType.BLOCK_STATUS_EXT, content), bytes(23)),
    ],
)
def test_malformed_chunks_are_refused(read_content: object, content: bytes) -> None:
    assert callable(read_content)
    with pytest.raises(ProtocolError):
        read_content(content)


@pytest.mark.parametrize("mode", MODES)
def test_a_reply_that_was_not_agreed_on_is_refused(mode: HeaderMode) -> None:
    with pytest.raises(ProtocolError):
        ReplyReader(mode).header_size(0x12345678)
    if mode is not HeaderMode.EXTENDED:
        line = ReplyWriter(HeaderMode.EXTENDED).done(REQUEST)
        with pytest.raises(ProtocolError):
            ReplyReader(mode).header_size(int.from_bytes(line[:4], "big"))


def test_errors_go_over_the_wire_and_back() -> None:
    for number in (errno.EPERM, errno.EIO, errno.ENOSPC, errno.EINVAL, errno.ENOTSUP, errno.ENOMEM):
        assert errno_of(error_of(number)) == number
    assert error_of(errno.EROFS) is Error.EPERM
    assert error_of(None) is Error.EIO
    assert error_of(errno.EPIPE) is Error.EIO
    assert errno_of(12345) == errno.EINVAL
