"""Show a file through the kernel's FUSE, by the package ``mfusepy`` and the library ``libfuse``.

The library runs threads of its own.  What they are asked is carried out on the event loop, which never waits
for them.
"""

import asyncio
import ctypes
import errno
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, TypeVar

import mfusepy

from qmpserver.errors import QMPError
from qmpserver.exports.fuse_file import FuseFile, Serve

T = TypeVar("T")


class Run(Protocol):
    """Has a request carried out on the event loop; called in other threads."""

    def __call__(self, request: Coroutine[Any, Any, T]) -> T:
        """Return the request's result."""


_libc = ctypes.CDLL(None, use_errno=True)

_CLONE_FS: Final = 0x200
_MNT_FORCE: Final = 1
_MNT_DETACH: Final = 2


class Asked:
    """What the library calls, in its threads.

    Args:
        file: What answers, on the event loop.
        run: How it is asked.
        on_mounted: Called once the kernel has taken the file in.
    """

    use_ns = True

    def __init__(self, file: FuseFile, run: Run, on_mounted: Callable[[], object]) -> None:
        self._file = file
        self._run = run
        self._on_mounted = on_mounted

    def init(self, path: str) -> None:
        """Take note that the file is there."""
        del path
        _give_signals_back()
        self._on_mounted()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        """Answer ``stat``."""
        if _is_asked_by_us():
            # The event loop may be what waits.
            return self._file.attributes_at_once()
        return self._run(self._file.attributes())

    def open(self, path: str, flags: int) -> int:
        """Answer ``open``.

        Raises:
            OSError: EDEADLK to this very process, which would wait for itself.
        """
        if _is_asked_by_us():
            raise OSError(errno.EDEADLK, os.strerror(errno.EDEADLK))
        if flags & os.O_TRUNC:
            self._run(self._file.empty())
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Answer ``read``."""
        return self._run(self._file.read(offset, size))

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Answer ``write``."""
        return self._run(self._file.write(offset, data))

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        """Answer ``truncate``."""
        self._run(self._file.truncate(length))

    def fallocate(self, path: str, mode: int, offset: int, size: int, fh: int) -> None:
        """Answer ``fallocate``."""
        self._run(self._file.allocate(mode, offset, size))

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        """Answer ``fsync``."""
        self._run(self._file.flush())

    def flush(self, path: str, fh: int) -> None:
        """Answer ``close``."""
        self._run(self._file.flush())

    def lseek(self, path: str, offset: int, whence: int) -> int:
        """Answer ``lseek`` to data or to a hole."""
        return self._run(self._file.seek(offset, whence))

    def chmod(self, path: str, mode: int) -> None:
        """Answer ``chmod``."""
        self._file.change_mode(mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Answer ``chown``."""
        self._file.change_owner(uid, gid)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        """Refuse: the file's times are not stored."""
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


class _Session(mfusepy.FUSE):  # type: ignore[misc]  # the package has no types
    """A session that also answers ``lseek``, which the package leaves out."""

    def lseek(self, path: bytes, offset: int, whence: int, info: object) -> int:
        """Hand it on."""
        del info
        found: int = self.operations.lseek(os.fsdecode(path), offset, whence)
        return found


class FuseMount:
    """A file that is shown for as long as this lives.

    Args:
        mountpoint: The file that is covered, an absolute name.
        file: What answers, on the event loop.
        serve: Carries out what it is asked.
        options: The library's own, as ``ro`` and ``allow_other``.

    Attributes:
        ended: Completed when the file is shown no more, whoever brought that about.
    """

    def __init__(self, mountpoint: str, file: FuseFile, serve: Serve, options: dict[str, Any]) -> None:
        self._mountpoint = mountpoint
        self._file = file
        self._serve = serve
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._mounted: asyncio.Future[bool] = self._loop.create_future()
        self.ended: asyncio.Future[None] = self._loop.create_future()

    async def mount(self) -> None:
        """Show the file.

        Raises:
            QMPError: It cannot be done.
        """
        # A daemon thread: users who keep the file open must not keep the process from ending.
        threading.Thread(target=self._run_library, name="fuse", daemon=True).start()
        if not await self._mounted:
            raise QMPError("Failed to mount FUSE session to export")

    def unmount(self) -> None:
        """Show the file no more, and break with those who use it.  Blocks for a moment."""
        encoded = os.fsencode(self._mountpoint)
        if _libc.umount2(encoded, _MNT_FORCE | _MNT_DETACH) and ctypes.get_errno() == errno.EPERM:
            tool = shutil.which("fusermount3") or shutil.which("fusermount")
            if tool is not None:
                command = [tool, "-u", "-z", "-q", "--", self._mountpoint]
                subprocess.run(command, check=False, stdin=subprocess.DEVNULL)

    def _run_library(self) -> None:
        """Run the library until the file is unmounted.  In a thread of its own."""
        # The library changes the working folder, which threads share unless one of them leaves.
        _libc.unshare(_CLONE_FS)
        asked = Asked(self._file, self._run, lambda: self._tell(self._mounted, True))
        try:
            _Session(
                asked,
                self._mountpoint,
                foreground=True,
                fsname="/dev/fuse",
                default_permissions=True,
                direct_io=True,
                attr_timeout=0,
                noatime=True,
                **self._options,
            )
        except RuntimeError:
            pass  # the library has said why on standard error
        finally:
            self._tell(self._mounted, False)
            self._tell(self.ended, None)

    def _run(self, request: Coroutine[Any, Any, T]) -> T:
        served = self._serve(request)
        try:
            outcome = asyncio.run_coroutine_threadsafe(served, self._loop)
        except RuntimeError as error:  # the loop was closed
            served.close()
            request.close()
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN)) from error
        return outcome.result()

    def _tell(self, future: "asyncio.Future[T]", result: T) -> None:
        def complete() -> None:
            if not future.done():
                future.set_result(result)

        try:
            self._loop.call_soon_threadsafe(complete)
        except RuntimeError:
            return  # the loop was closed, and nobody waits


def _is_asked_by_us() -> bool:
    """Say whether a thread of this process makes the request that is being answered."""
    _, _, thread_id = mfusepy.fuse_get_context()
    return os.path.exists(f"/proc/self/task/{thread_id}")


def _give_signals_back() -> None:
    """Let those signals end the process again that did before: the library wants them for itself."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_DFL:
            _libc.signal(number, None)
