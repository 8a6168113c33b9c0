"""Move bytes between the event loop and one client, without ever waiting for it.

asyncio's own transports drop descriptors that come with the bytes and ask for a protocol object per
message cost; a channel reads with one call per turn of the loop, and writes at once what the kernel
takes.  What it does not take is kept, and `backlog` says how much that is.
"""

import asyncio
import contextlib
import os
import socket
import stat
from abc import ABC, abstractmethod
from array import array
from typing import Protocol

READ_SIZE = 64 << 10
"""Bytes taken in one turn of the loop, so that no client holds up the others."""

_MAX_PASSED_FDS = 253
_ANCILLARY_SIZE = socket.CMSG_SPACE(_MAX_PASSED_FDS * array("i").itemsize)
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Receiver(Protocol):
    """Who is told what comes through a channel."""

    def received(self, data: bytes, fds: list[int]) -> None:
        """Take bytes, and the descriptors that came with them."""

    def ended(self) -> None:
        """Note that nothing more will come; what is written may still arrive."""

    def drained(self) -> None:
        """Note that the backlog is gone."""

    def lost(self, error: OSError | None) -> None:
        """Note that the channel is closed, by :meth:`Channel.close` when there is no error."""


class Channel(ABC):
    """A stream of bytes in both directions.  Call :meth:`start` once, then use it from the event loop.

    Attributes:
        backlog: Bytes that were written and that the kernel has not taken.
    """

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._receiver: Receiver | None = None
        self._out = bytearray()
        self._is_reading = False
        self._is_closed = False
        self._has_ended = False

    @abstractmethod
    def _receive(self) -> tuple[bytes, list[int]]:
        """Read what there is, without waiting."""

    @abstractmethod
    def _send(self, data: bytes | bytearray) -> int:
        """Write what the kernel takes, without waiting."""

    @abstractmethod
    def _release(self) -> None:
        """Give the descriptors back."""

    @property
    def backlog(self) -> int:
        """Bytes that were written and that the kernel has not taken."""
        return len(self._out)

    def start(self, receiver: Receiver) -> None:
        """Begin to read."""
        self._receiver = receiver
        self.resume_reading()

    def resume_reading(self) -> None:
        """Read again after :meth:`pause_reading`; harmless otherwise."""
        if not (self._is_reading or self._is_closed or self._has_ended):
            self._is_reading = True
            self._watch_input()

    def pause_reading(self) -> None:
        """Leave what comes in to the kernel; harmless when it is left already."""
        if self._is_reading:
            self._is_reading = False
            self._unwatch_input()

    def _watch_input(self) -> None:
        self._loop.add_reader(self._read_fd, self._readable)

    def _unwatch_input(self) -> None:
        self._loop.remove_reader(self._read_fd)

    def _readable(self) -> None:
        assert self._receiver is not None
        try:
            data, fds = self._receive()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        if data:
            self._receiver.received(data, fds)
            return
        self._has_ended = True
        self.pause_reading()
        self._receiver.ended()

    def write(self, data: bytes) -> None:
        """Send bytes, now or as soon as the kernel takes them; after the end they are dropped."""
        if self._is_closed:
            return
        sent = 0
        if not self._out:
            try:
                sent = self._send(data)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                # Not from here: the receiver may be in the middle of something.
                self._loop.call_soon(self._lose, error)
                return
            if sent == len(data):
                return
            self._loop.add_writer(self._write_fd, self._writable)
        self._out += memoryview(data)[sent:]

    def _writable(self) -> None:
        assert self._receiver is not None
        try:
            sent = self._send(self._out)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        del self._out[:sent]
        if not self._out:
            self._loop.remove_writer(self._write_fd)
            self._receiver.drained()

    def close(self) -> None:
        """Give the channel up at once; what the kernel has not taken is lost."""
        self._lose(None)

    def _lose(self, error: OSError | None) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self.pause_reading()
        if self._out:
            self._loop.remove_writer(self._write_fd)
            self._out.clear()
        self._release()
        if self._receiver is not None:
            self._receiver.lost(error)


class SocketChannel(Channel):
    """A connected stream socket, which the channel owns; descriptors come through UNIX sockets."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection.fileno(), connection.fileno())
        connection.setblocking(False)
        self._socket = connection
        self._passes_fds = connection.family == socket.AF_UNIX

    def _receive(self) -> tuple[bytes, list[int]]:
        if not self._passes_fds:
            return self._socket.recv(READ_SIZE), []
        data, ancillary, _, _ = self._socket.recvmsg(READ_SIZE, _ANCILLARY_SIZE, _CLOEXEC)
        return data, _passed_fds(ancillary) if ancillary else []

    def _send(self, data: bytes | bytearray) -> int:
        return self._socket.send(data)

    def _release(self) -> None:
        self._socket.close()


def _passed_fds(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    fds = array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    return list(fds)


class StdioChannel(Channel):
    """A pair of descriptors, standard input and output as a rule, which the channel borrows.

    They are made not to block while the channel is open.
    """

    def __init__(self, read_fd: int = 0, write_fd: int = 1) -> None:
        super().__init__(read_fd, write_fd)
        self._were_blocking = [fd for fd in (read_fd, write_fd) if os.get_blocking(fd)]
        for fd in self._were_blocking:
            os.set_blocking(fd, False)
        # The loop cannot watch what is always ready: files, /dev/null.
        self._is_watchable = not _is_always_ready(read_fd)
        self._scheduled: asyncio.Handle | None = None

    def _watch_input(self) -> None:
        if self._is_watchable:
            super()._watch_input()
        else:
            self._scheduled = self._loop.call_soon(self._read_and_go_on)

    def _read_and_go_on(self) -> None:
        self._readable()
        if self._is_reading:
            self._scheduled = self._loop.call_soon(self._read_and_go_on)

    def _unwatch_input(self) -> None:
        if self._is_watchable:
            super()._unwatch_input()
        elif self._scheduled is not None:
            self._scheduled.cancel()

    def _receive(self) -> tuple[bytes, list[int]]:
        return os.read(self._read_fd, READ_SIZE), []

    def _send(self, data: bytes | bytearray) -> int:
        return os.write(self._write_fd, data)

    def _release(self) -> None:
        for fd in self._were_blocking:
            with contextlib.suppress(OSError):
                os.set_blocking(fd, True)


def _is_always_ready(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd))
