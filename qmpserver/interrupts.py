"""Let Ctrl-C end a tool that writes only where it has come to a good place.

With an event loop it does so by itself: what runs is cancelled where it waits.  Without one the interrupt would
come between any two steps, and what is noted in memory of an image would not agree with itself any more.
"""

import contextlib
import signal
from types import FrameType


class Interrupts:
    """The interrupts of this process, which are let through unless they are held."""

    def __init__(self) -> None:
        self._is_held = False
        self._is_pending = False

    def hold(self) -> None:
        """From now on only note an interrupt, if it would end the process.

        What is ignored, as in the background of a shell, or seen to by somebody else stays so.
        """
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            return
        # Another thread than the main one is never interrupted.
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, self._note)
            self._is_held = True

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self._is_pending = True

    def check(self) -> None:
        """Come to a good place.

        Raises:
            KeyboardInterrupt: There was an interrupt.
        """
        if self._is_pending:
            self.release()
            raise KeyboardInterrupt

    def release(self) -> bool:
        """Hold interrupts no longer, and say whether there was one."""
        was_pending, self._is_pending = self._is_pending, False
        if self._is_held:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._is_held = False
        return was_pending
