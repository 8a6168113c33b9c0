"""Files, pipes, terminals, and standard input and output as chardevs."""

import contextlib
import os
import tty
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from qmpserver.chardevs.chardev import Chardev
from qmpserver.errors import QMPError, error_text
from qmpserver.monitor.doors import Endpoint, Stream

DuplicateFd = Callable[[int, int], int]
"""Opens a set of passed descriptors, by its number and the flags of ``open``."""

_FDSET_PREFIX = "/dev/fdset/"


class StdioChardev(Chardev):
    """Standard input and output."""

    backend: ClassVar[str] = "stdio"

    def hand_over(self) -> list[Endpoint]:
        """Return standard input and output themselves."""
        return [Endpoint(Stream(0, 1), is_server=False)]


class DescriptorChardev(Chardev, ABC):
    """A pair of descriptors that the chardev has opened.

    Attributes:
        fds: To read from, to write to, and any that are only to be kept.
        duplicate_fd: Supplies what ``/dev/fdset/N`` stands for, if anything does.
    """

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.fds: list[int] = []
        self.duplicate_fd: DuplicateFd | None = None

    async def open(self) -> None:
        """Open the descriptors.

        Raises:
            QMPError: One cannot be; nothing stays open.
        """
        try:
            self.open_descriptors()
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def open_descriptors(self) -> None:
        """Fill `fds`.

        Raises:
            QMPError: A file cannot be opened.
        """

    def hand_over(self) -> list[Endpoint]:
        """Return the descriptors, which stay the chardev's."""
        return [Endpoint(Stream(*self.fds[:2]), is_server=False)]

    def close(self) -> None:
        """Close the descriptors."""
        for fd in self.fds:
            with contextlib.suppress(OSError):
                os.close(fd)
        self.fds.clear()

    def take(self, filename: str, flags: int) -> None:
        """Open a file as the next descriptor.

        Raises:
            QMPError: It cannot be opened.
        """
        try:
            self.fds.append(self._open(filename, flags))
        except OSError as error:
            raise QMPError(f"Could not open '{filename}': {error_text(error)}") from error

    def _open(self, filename: str, flags: int) -> int:
        number = filename.removeprefix(_FDSET_PREFIX)
        if self.duplicate_fd is not None and number != filename and number.isascii() and number.isdecimal():
            return self.duplicate_fd(int(number), flags)
        return os.open(filename, flags | os.O_CLOEXEC, 0o666)


class FileChardev(DescriptorChardev):
    """A file to write to, and perhaps another to read from.

    Args:
        label: What it is called.
        out: The file to write to, made anew.
        source: The file to read from, or None for nothing to come in.
        append: The file to write to keeps what it holds.
    """

    backend: ClassVar[str] = "file"

    def __init__(self, label: str, out: str, source: str | None = None, *, append: bool = False) -> None:
        super().__init__(label)
        self._out = out
        self._source = source
        self._append = append

    def open_descriptors(self) -> None:
        """Open the files."""
        if self._source is not None:
            self.take(self._source, os.O_RDONLY)
        else:
            # The reading end of a pipe that nobody writes to: nothing ever comes in.
            self.fds += os.pipe2(os.O_CLOEXEC)
        self.take(self._out, os.O_WRONLY | os.O_CREAT | (os.O_APPEND if self._append else os.O_TRUNC))
        self.fds.insert(1, self.fds.pop())


class PipeChardev(DescriptorChardev):
    """A pair of named pipes called ``NAME.in`` and ``NAME.out``, or one pipe, or a device.

    Args:
        label: What it is called.
        device: The name.
    """

    backend: ClassVar[str] = "pipe"

    def __init__(self, label: str, device: str) -> None:
        super().__init__(label)
        self._device = device

    def open_descriptors(self) -> None:
        """Open the pipes, each to read and write, so that neither end waits for the other."""
        try:
            self.take(f"{self._device}.in", os.O_RDWR)
            self.take(f"{self._device}.out", os.O_RDWR)
        except QMPError:
            self.close()
            self.take(self._device, os.O_RDWR)
            self.fds.append(os.dup(self.fds[0]))


class PtyChardev(DescriptorChardev):
    """A terminal of the kernel's, for another program to open.

    Args:
        label: What it is called.
        path: Where to make a symbolic link to it, or None.
    """

    backend: ClassVar[str] = "pty"

    def __init__(self, label: str, path: str | None = None) -> None:
        super().__init__(label)
        self.name = ""
        self._path = path

    def open_descriptors(self) -> None:
        """Make the terminal, and the link to it."""
        try:
            master, slave = os.openpty()
        except OSError as error:
            raise QMPError(f"Failed to create PTY: {error_text(error)}") from error
        # The other end is kept, so that no error is read before the program comes, or after it has gone.
        self.fds += [master, os.dup(master), slave]
        tty.setraw(slave)
        self.name = os.ttyname(slave)
        if self._path is not None:
            try:
                os.symlink(self.name, self._path)
            except OSError as error:
                path, self._path = self._path, None
                raise QMPError(f"Failed to create PTY symlink '{path}': {error_text(error)}") from error

    @property
    def filename(self) -> str:
        """The terminal's name."""
        return f"pty:{self.name}"

    def close(self) -> None:
        """Close the terminal and remove the link."""
        super().close()
        if self._path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
