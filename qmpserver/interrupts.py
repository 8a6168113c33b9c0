"""Let Ctrl-C end a tool that writes only where it has come to a good place.

With an event loop it does so by itself: what runs is cancelled where it waits.  Without one the interrupt would
come between any two steps, and what is noted in memory of an image would not agree with itself any more.
"""

from types import FrameType

_is_held = False
_is_pending = False


def hold() -> None:
    """From now on only note an interrupt, if it would end the process."""
    global _is_held  # noqa: PLW0603 - signals are the whole process's
    import signal  # noqa: PLC0415 - a tool that only reads does without
    import threading  # noqa: PLC0415 - likewise

    if threading.current_thread() is not threading.main_thread():
        return
    # What is ignored, as in the background of a shell, or seen to by somebody else stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _note)
        _is_held = True


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
    global _is_held, _is_pending  # noqa: PLW0603 - as above
    was_pending, _is_pending = _is_pending, False
    if _is_held:
        import signal  # noqa: PLC0415 - as above

        signal.signal(signal.SIGINT, signal.default_int_handler)
        _is_held = False
    return was_pending
