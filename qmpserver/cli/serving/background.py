"""Leave the terminal, and let the parent wait until the daemon is ready."""

import os
import sys

READY = b"\x00"


class Background:
    """The child's end of the parent's wait."""

    def __init__(self, report_descriptor: int) -> None:
        self._report = report_descriptor

    def ready(self) -> None:
        """Let go of the terminal and the folder, and let the parent end with status 0.

        Until then messages still reach whoever started the program.
        """
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.close(null)
        os.write(self._report, READY)
        os.close(self._report)


def enter() -> Background:
    """Go on in a process of its own session; the calling process waits for it and never returns.

    Must be called before any thread or event loop exists, because a fork keeps neither.
    """
    read_end, write_end = os.pipe()
    if os.fork():
        os.close(write_end)
        sys.stdout.flush()
        os._exit(0 if os.read(read_end, 1) == READY else 1)
    os.close(read_end)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.umask(0o027)
    return Background(write_end)
