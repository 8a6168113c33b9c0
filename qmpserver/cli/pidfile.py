"""Write the process id into a file which stays locked for as long as the process lives."""

import contextlib
import fcntl
import os

from qmpserver.errors import QMPError, error_text


class PidFile:
    """A locked file with this process's id in it.

    Args:
        path: Where it is; made absolute, so that a later change of folder does not matter.

    Raises:
        QMPError: The file cannot be made, or another process holds it.
    """

    def __init__(self, path: str) -> None:
        self._descriptor = _open_locked(path)
        self._path = os.path.realpath(path)
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, b"%d\n" % os.getpid())

    def remove(self) -> None:
        """Delete the file, unless the name belongs to another file by now."""
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(self._path), os.fstat(self._descriptor)):
                os.unlink(self._path)
        os.close(self._descriptor)


def _open_locked(path: str) -> int:
    """Open and lock the file that `path` names now.

    A predecessor may delete the file between our open and our lock; then the lock is on a file
    without a name, and the name is tried again.
    """
    while True:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise QMPError(f"Could not create '{path}': {error_text(error)}") from error
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
        except FileNotFoundError:
            pass
        except OSError as error:
            os.close(descriptor)
            raise QMPError(f"Cannot lock pid file: {error_text(error)}") from error
        os.close(descriptor)
