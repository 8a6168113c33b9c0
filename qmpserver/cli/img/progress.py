"""Show how far long work has come, as ``-p`` asks."""

import sys

_STEP = 0.01


class Progress:
    """Prints a percentage in place, when it has grown by enough.

    Args:
        is_wanted: Print anything at all.
    """

    def __init__(self, *, is_wanted: bool) -> None:
        self._is_wanted = is_wanted
        self._shown = -1.0

    def show(self, done: float, total: float) -> None:
        """Say how much of the whole is done."""
        if not self._is_wanted:
            return
        share = 100 * done / total if total else 100.0
        if share - self._shown >= _STEP or (share >= 100 > self._shown):
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
