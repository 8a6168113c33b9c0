"""Answer the lines of the qtest protocol; no I/O.

Answered: ``clock_step [NS]``, ``clock_set NS``, ``clock_get``, ``endianness``, ``irq_intercept_in PATH`` and
``irq_intercept_out PATH``.  Refused by name: ports, memory, interrupt lines and modules, of which there are none.

Source: QEMU, ``system/qtest.c``, the comment that describes the protocol.  ``clock_get`` is our own.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from qmpserver.clock import SteppedClock
from qmpserver.errors import QMPError
from qmpserver.numerals import integer

_PORTS: Final = "there are no ports"
_MEMORY: Final = "there is no guest memory"
_LINES: Final = "there are no interrupt lines"
_REFUSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(["inb", "inw", "inl", "outb", "outw", "outl"], _PORTS),
    **dict.fromkeys(["readb", "readw", "readl", "readq", "writeb", "writew", "writel", "writeq"], _MEMORY),
    **dict.fromkeys(["read", "write", "memset", "b64read", "b64write"], _MEMORY),
    "set_irq_in": _LINES,
    "module_load": "there are no modules",
}

_MOST_NS: Final = (1 << 63) - 1


class QtestProtocol:
    """One machine's answers.

    Args:
        clock: The clock that is turned, or None when the machine's is not a client's to turn.
        has_device: Says whether there is a device of a path.
    """

    def __init__(self, clock: SteppedClock | None, has_device: Callable[[str], bool]) -> None:
        self._has_device = has_device
        self._commands: dict[str, Callable[[Sequence[str]], Awaitable[str]]] = {
            "endianness": self._endianness,
            "irq_intercept_in": self._intercept,
            "irq_intercept_out": self._intercept,
        }
        if clock is not None:
            self._clock = clock
            self._commands |= {
                "clock_step": self._clock_step,
                "clock_set": self._clock_set,
                "clock_get": self._clock_get,
            }

    async def answer(self, line: str) -> str:
        """Carry out a line and return the answer to it, both without their ends.

        QEMU: words are separated by single spaces, and more than are needed do no harm; it ends where there are
        too few, or a number is none.
        """
        name, *words = line.split(" ")
        if name in _REFUSED:
            return f"FAIL {name}: {_REFUSED[name]}"
        command = self._commands.get(name)
        if command is None:
            return f"FAIL Unknown command '{name}'"
        try:
            return await command(words)
        except QMPError as error:
            return f"FAIL {name}: {error.description}"

    # The clock

    async def _clock_step(self, words: Sequence[str]) -> str:
        before_ns = self._clock.monotonic_ns()
        target_ns = before_ns + _number(words) if words else self._clock.next_ns
        if target_ns is None or target_ns > _MOST_NS:
            return f"FAIL {before_ns}"
        await self._clock.advance_to(target_ns)
        return f"{'OK' if target_ns > before_ns else 'FAIL'} {self._clock.monotonic_ns()}"

    async def _clock_set(self, words: Sequence[str]) -> str:
        wanted_ns = _number(words)
        if wanted_ns >= self._clock.monotonic_ns():
            await self._clock.advance_to(wanted_ns)
        now_ns = self._clock.monotonic_ns()
        return f"{'OK' if now_ns == wanted_ns else 'FAIL'} {now_ns}"

    async def _clock_get(self, _words: Sequence[str]) -> str:
        return f"OK {self._clock.monotonic_ns()}"

    # The rest

    @staticmethod
    async def _endianness(_words: Sequence[str]) -> str:
        return "OK little"

    async def _intercept(self, words: Sequence[str]) -> str:
        if not words:
            raise QMPError("a path is missing")
        return "OK" if self._has_device(words[0]) else "FAIL Unknown device"


def _number(words: Sequence[str]) -> int:
    """Return the first word as nanoseconds.

    Raises:
        QMPError: There is none, or it is no number of that kind.
    """
    if not words:
        raise QMPError("a number is missing")
    number = integer(words[0])
    if number is None or not 0 <= number <= _MOST_NS:
        raise QMPError(f"'{words[0]}' is no number of nanoseconds")
    return number
