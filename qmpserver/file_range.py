"""A range of an open file of the host that is sent as it is, without passing through our memory."""

import errno
import os
from collections.abc import Callable

_SAMPLE = 16


def seems_zero(fd: int, offset: int) -> bool:
    """Say whether a few bytes of a file are zeroes, so that what is around them may be, too.

    Raises:
        OSError: They cannot be read.
    """
    return not any(os.pread(fd, _SAMPLE, offset))


class FileRange:
    """Bytes of a file that are in the page cache.

    The kernel hands on the pages without copying them: a reader who takes his time sees what the file holds then.
    So nothing else may come to lie there before he has read them; then the range is to be released.

    Args:
        fd: A descriptor of the file.
        offset: First byte.
        length: Bytes.
        release: Called once when the file need not be held open any more.
    """

    __slots__ = ("_fd", "_length", "_offset", "_releases")

    def __init__(self, fd: int, offset: int, length: int, release: Callable[[], object]) -> None:
        self._fd = fd
        self._offset = offset
        self._length = length
        self._releases = [release]

    def __len__(self) -> int:
        return self._length

    def may_be_zeroes(self) -> bool:
        """Say whether it may be zeroes throughout, judged by a few bytes in the middle.

        Raises:
            OSError: They cannot be read.
        """
        return seems_zero(self._fd, self._offset + self._length // 2)

    def also_release(self, release: Callable[[], object]) -> None:
        """Call something more when it is not wanted any more."""
        self._releases.append(release)

    def send(self, socket: int) -> int:
        """Send as much of the beginning as a socket takes, and be the rest; return how many bytes that was.

        Raises:
            BlockingIOError: It takes nothing for now.
            OSError: It cannot be sent, or the file has become shorter (EIO).
        """
        sent = os.sendfile(socket, self._fd, self._offset, self._length)
        if not sent:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._offset += sent
        self._length -= sent
        return sent

    def release(self) -> None:
        """Say that it is not wanted any more."""
        for release in self._releases:
            release()
