"""Hold ranges of files that a UNIX socket has taken until its other side has read them.

The kernel hands on the pages themselves, so until then they must stay what they are.
"""

import array
import asyncio
import fcntl
import termios
from collections import deque
from typing import Final

from qmpserver.file_range import FileRange

_LOOK_AGAIN_S: Final = 0.02


class SentFiles:
    """What one socket has taken and nobody may have read yet.

    Args:
        fd: The socket, which stays open until :meth:`close`.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._sent = 0
        self._held: deque[tuple[int, FileRange]] = deque()
        """Each with the bytes that had been sent when the socket had taken all of it."""
        self._timer: asyncio.TimerHandle | None = None

    def note(self, sent: int) -> None:
        """Take note of bytes that the socket has taken."""
        self._sent += sent

    def hold(self, range_: FileRange) -> None:
        """Release a range of which the socket has taken the last bytes when they have been read."""
        self._held.append((self._sent, range_))
        self.look()

    def look(self) -> None:
        """Release what has been read."""
        # What the kernel counts includes its own overhead, so this is never too much.
        read = self._sent - self._unread()
        while self._held and self._held[0][0] <= read:
            self._held.popleft()[1].release()
        if self._held and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_AGAIN_S, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self.look()

    def _unread(self) -> int:
        count = array.array("i", (0,))
        fcntl.ioctl(self._fd, termios.TIOCOUTQ, count)
        return count[0]

    def close(self) -> None:
        """Release everything: the socket is about to be closed, and who reads on has been told of no end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._held:
            self._held.popleft()[1].release()
