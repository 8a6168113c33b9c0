"""Show how far long work has come: as ``-p`` asks, or once each time that SIGUSR1 asks."""

import os
import signal
import sys
import threading
from types import FrameType

from qmpserver.cli.reports import STDERR

_STEP = 0.01


class Progress:
    """Prints a percentage in place, when it has grown by enough.

    Args:
        is_wanted: Print it all the time; else SIGUSR1 has it printed on standard error.
    """

    def __init__(self, *, is_wanted: bool) -> None:
        self._is_wanted = is_wanted
        self._share = 0.0
        self._shown = -1.0
        if not is_wanted and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGUSR1, self._answer)

    def _answer(self, _signal: int, _frame: FrameType | None) -> None:
        os.write(STDERR, f"    ({self._share:3.2f}/100%)\n".encode())

    def show(self, done: float, total: float) -> None:
        """Say how much of the whole is done."""
        share = self._share = 100 * done / total if total else 100.0
        if self._is_wanted and (share - self._shown >= _STEP or (share >= 100 > self._shown)):
            self._shown = share
            sys.stdout.write(f"    ({share:3.2f}/100%)\r")
            sys.stdout.flush()

    def end(self) -> None:
        """Say that all is done, and begin a new line."""
        if self._is_wanted:
            sys.stdout.write("    (100.00/100%)\r\n")
            sys.stdout.flush()
            self._is_wanted = False

    def end_early(self) -> None:
        """Begin a new line, wherever it has come to."""
        if self._is_wanted:
            sys.stdout.write("\n")
            sys.stdout.flush()
            self._is_wanted = False
