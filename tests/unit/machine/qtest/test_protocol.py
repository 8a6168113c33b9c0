"""Lines of the qtest protocol are answered, and turn the clock."""

import asyncio

import pytest

from qmpserver.clock import SteppedClock
from qmpserver.machine.qtest.protocol import QtestProtocol

SAID: list[tuple[str, str]] = [
    ("clock_get", "OK 0"),
    ("clock_step", "FAIL 0"),
    ("clock_step 1000", "OK 1000"),
    ("clock_step 0", "FAIL 1000"),
    ("clock_step 0x10", "OK 1016"),
    ("clock_step 4 and more", "OK 1020"),
    ("clock_set 5000", "OK 5000"),
    ("clock_set 5000", "OK 5000"),
    ("clock_set 100", "FAIL 5000"),
    ("clock_step -5", "FAIL clock_step: '-5' is no number of nanoseconds"),
    ("clock_step 1_000", "FAIL clock_step: '1_000' is no number of nanoseconds"),
    ("clock_step  7", "FAIL clock_step: '' is no number of nanoseconds"),
    ("clock_step 9223372036854775807", "FAIL 5000"),
    ("clock_set", "FAIL clock_set: a number is missing"),
    ("clock_set 9223372036854775808", "FAIL clock_set: '9223372036854775808' is no number of nanoseconds"),
    ("endianness", "OK little"),
    ("irq_intercept_in here", "OK"),
    ("irq_intercept_out nix", "FAIL Unknown device"),
    ("irq_intercept_in", "FAIL irq_intercept_in: a path is missing"),
    ("inb 0x60", "FAIL inb: there are no ports"),
    ("outl", "FAIL outl: there are no ports"),
    ("readq 0", "FAIL readq: there is no guest memory"),
    ("b64write 0 4 AAAAAA==", "FAIL b64write: there is no guest memory"),
    ("set_irq_in a b 0 1", "FAIL set_irq_in: there are no interrupt lines"),
    ("module_load a b", "FAIL module_load: there are no modules"),
    ("CLOCK_STEP", "FAIL Unknown command 'CLOCK_STEP'"),
    ("", "FAIL Unknown command ''"),
    ("clock_get", "OK 5000"),
]


def test_each_line_is_answered() -> None:
    async def main() -> None:
        protocol = QtestProtocol(SteppedClock(), "here".__eq__)
        assert [(line, await protocol.answer(line)) for line, _ in SAID] == SAID

    asyncio.run(main())


@pytest.mark.parametrize("name", ["clock_step", "clock_set", "clock_get"])
def test_a_clock_that_is_nobodys_to_turn_is_not_known(name: str) -> None:
    answer = asyncio.run(QtestProtocol(None, lambda _path: False).answer(f"{name} 1"))
    assert answer == f"FAIL Unknown command '{name}'"


def test_a_step_without_a_length_goes_to_the_next_timer_that_was_not_called_off() -> None:
    async def main() -> None:
        clock = SteppedClock()
        due: list[int] = []
        clock.call_later(5, lambda: due.append(5)).cancel()
        for delay_ns in (30, 10):
            clock.call_later(delay_ns, lambda delay_ns=delay_ns: due.append(delay_ns))  # type: ignore[misc]
        protocol = QtestProtocol(clock, lambda _path: False)
        assert [await protocol.answer("clock_step") for _ in range(3)] == ["OK 10", "OK 30", "FAIL 30"]
        assert due == [10, 30]

    asyncio.run(main())


def test_who_is_woken_may_wait_again_within_one_step() -> None:
    async def main() -> None:
        clock = SteppedClock()
        woken: list[int] = []

        async def sleeper() -> None:
            for _ in range(3):
                await clock.sleep(10)
                woken.append(clock.monotonic_ns())

        task = asyncio.get_running_loop().create_task(sleeper())
        await asyncio.sleep(0)
        assert await QtestProtocol(clock, lambda _path: False).answer("clock_step 35") == "OK 35"
        assert woken == [10, 20, 30]
        await task

    asyncio.run(main())
