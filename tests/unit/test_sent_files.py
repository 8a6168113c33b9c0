"""Ranges of files are held until they have been read at the other side of the socket."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from qmpserver import sent_files
from qmpserver.file_range import FileRange
from qmpserver.socket_writer import Piece, SocketWriter

LENGTH = 100_000


class Stage:
    """A writer, who reads from it, and a file."""

    def __init__(self, folder: Path) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.theirs.setblocking(False)
        self.errors: list[OSError] = []
        self.released: list[int] = []
        self.writer = SocketWriter(self.ours, lambda: None, self.errors.append)
        self.data = os.urandom(4 * LENGTH)
        path = folder / "file"
        path.write_bytes(self.data)
        self.fd = os.open(path, os.O_RDWR)

    def part(self, index: int) -> FileRange:
        return FileRange(self.fd, index * LENGTH, LENGTH, lambda: self.released.append(index))

    def bytes_of(self, index: int) -> bytes:
        return self.data[index * LENGTH : (index + 1) * LENGTH]

    async def read(self, length: int) -> bytes:
        got = b""
        while len(got) < length:
            got += await asyncio.get_running_loop().sock_recv(self.theirs, length - len(got))
        return got

    def look(self) -> list[int]:
        self.writer._sent_files.look()
        return self.released


def play(folder: Path, body: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        stage = Stage(folder)
        await body(stage)
        stage.writer.close()
        for each in (stage.ours, stage.theirs):
            each.close()
        os.close(stage.fd)

    asyncio.run(main())


def test_files_and_memory_arrive_in_order(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        pieces: list[Piece] = [
            b"head",
            stage.part(0),
            b"between",
            b"them",
            stage.part(1),
            stage.part(2),
            b"tail",
        ]
        stage.writer.send(pieces)
        expected = b"head%bbetweenthem%b%btail" % tuple(map(stage.bytes_of, range(3)))
        assert await stage.read(len(expected)) == expected
        assert not stage.writer.is_blocked
        assert stage.look() == [0, 1, 2]

    play(tmp_path, body)


def test_a_range_is_held_until_it_has_been_read(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        stage.writer.send([stage.part(0)])
        assert not stage.writer.is_blocked
        assert stage.look() == []
        await stage.read(LENGTH - 1)
        assert stage.look() == []
        await stage.read(1)
        assert stage.look() == [0]

    play(tmp_path, body)


def test_somebody_looks_again_who_sends_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent_files, "_LOOK_AGAIN_S", 0)

    async def body(stage: Stage) -> None:
        stage.writer.send([stage.part(0)])
        await stage.read(LENGTH)
        while not stage.released:
            await asyncio.sleep(0)

    play(tmp_path, body)


def test_nothing_is_held_once_it_is_closed(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        stage.writer.send([stage.part(index % 4) for index in range(40)])
        assert stage.writer.is_blocked
        stage.writer.close()
        assert len(stage.released) == 40
        stage.writer.send([stage.part(3)])
        assert len(stage.released) == 41

    play(tmp_path, body)


def test_a_file_that_has_become_shorter_is_an_error(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        os.ftruncate(stage.fd, LENGTH)
        stage.writer.send([stage.part(1)])
        await asyncio.sleep(0)
        assert [error.errno for error in stage.errors] == [5]
        assert stage.released == [1]

    play(tmp_path, body)


def test_what_may_be_zeroes_is_said_to_be(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        assert not stage.part(1).may_be_zeroes()
        os.pwrite(stage.fd, bytes(LENGTH), LENGTH)
        assert stage.part(1).may_be_zeroes()

    play(tmp_path, body)
