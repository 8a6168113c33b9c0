"""The program itself: ``sleep``, ``abort`` and ``sigraise``."""

import asyncio
import contextlib
import os
import signal
import sys

from qmpserver.io_commands.command import Command, Complaint, Words
from qmpserver.io_commands.numbers import size_argument
from qmpserver.io_commands.session import Session
from qmpserver.numerals import integer
from qmpserver.units import NS_PER_MS

_HANDLED = (signal.SIGUSR1, signal.SIGALRM, signal.SIGIO, signal.SIGBUS)
"""What QEMU keeps for itself, and so does not end of."""

_LONGEST_NS = (1 << 63) - 1


async def _sleep(session: Session, words: Words) -> None:
    del session
    text = words.operands[0]
    duration_ms = integer(text)
    if duration_ms is None or duration_ms < 0:
        raise Complaint(f"{text} is not a valid number")
    # QEMU: it does not wait at all for longer than it can count.
    if duration_ms * NS_PER_MS <= _LONGEST_NS:
        await asyncio.sleep(duration_ms / 1000)


async def _abort(session: Session, words: Words) -> None:
    del session, words
    sys.stdout.flush()
    os.abort()


async def _sigraise(session: Session, words: Words) -> None:
    del session
    text = words.operands[0]
    number = size_argument(text)
    if number > signal.NSIG:
        raise Complaint(f"signal argument '{text}' is too large to be a valid signal")
    sys.stdout.flush()
    if number not in _HANDLED:
        with contextlib.suppress(OSError, ValueError):
            signal.raise_signal(number)


COMMANDS = (
    Command("sleep", _sleep, "waits for so many milliseconds", least=1, most=1, needs_image=False),
    Command("abort", _abort, "ends at once, as after a programming error", needs_image=False),
    Command(
        "sigraise",
        _sigraise,
        "sends itself a signal",
        arguments="signal",
        least=1,
        most=1,
        needs_image=False,
        help=" Example: sigraise 15\n",
    ),
)
