"""Let Ctrl-C end a tool that writes only where it has come to a good place.

With an event loop it does so by itself: what runs is cancelled where it waits.  Without one the interrupt would
come between any two steps, and what is noted in memory of an image would not agree with itself any more.
"""

from types import FrameType
from typing import Any

_former: Any = None
"""What was done at an interrupt before it was held."""

_is_pending = False


def hold() -> None:
    """From now on only note an interrupt.  Harmless when they are held already, or not ours to hold."""
    global _former  # noqa: PLW0603 - signals are the whole process's
    import signal  # noqa: PLC0415 - a tool that only reads does without
    import threading  # noqa: PLC0415 - likewise

    if _former is None and threading.current_thread() is threading.main_thread():
        _former = signal.signal(signal.SIGINT, _note)


def _note(_signal: int, _frame: FrameType | None) -> None:
    global _is_pending  # noqa: PLW0603 - as above
    _is_pending = True


def check() -> None:
    """Come to a good place.

    Raises:
        KeyboardInterrupt: There was an interrupt.
    """
    if _is_pending:
        release()
        raise KeyboardInterrupt


def release() -> bool:
    """Hold interrupts no longer, and say whether there was one."""
    global _former, _is_pending  # noqa: PLW0603 - as above
    was_pending, _is_pending = _is_pending, False
    if _former is not None:
        import signal  # noqa: PLC0415 - as above

        signal.signal(signal.SIGINT, _former)
        _former = None
    return was_pending
