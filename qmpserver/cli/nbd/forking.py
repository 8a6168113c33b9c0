"""Leave the terminal, and let the parent tell what went wrong until clients can come in."""

import os
import sys

_READY = b"\x00"
_PIECE = 1024


class Parent:
    """The child's end of the parent's wait.

    Args:
        report_descriptor: Where to say that clients can come in.
    """

    def __init__(self, report_descriptor: int) -> None:
        self._report = report_descriptor

    def ready(self) -> None:
        """Let the parent end; nothing is said any more."""
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 2)
        os.close(null)
        os.write(self._report, _READY)
        os.close(self._report)


def leave() -> Parent:
    """Go on in a process of its own session; the calling process waits for it and never returns.

    What the new process says on standard error the old one repeats.  Its status is 0 when clients can come in
    and nothing was said.

    Must be called before any thread or event loop exists, because a fork keeps neither.

    QEMU: a warning too makes the status 1, though the server runs.
    """
    report_read, report_write = os.pipe()
    said_read, said_write = os.pipe()
    sys.stdout.flush()
    if os.fork():
        os.close(report_write)
        os.close(said_write)
        os._exit(_wait(said_read, report_read))
    os.close(report_read)
    os.close(said_read)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    os.dup2(said_write, 2)
    os.close(said_write)
    return Parent(report_write)


def _wait(said: int, report: int) -> int:
    """Repeat what is said until the other side stops listening; return the exit status."""
    has_said = False
    while data := os.read(said, _PIECE):
        has_said = True
        os.write(2, data)
    return 0 if os.read(report, 1) == _READY and not has_said else 1
