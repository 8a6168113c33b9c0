"""Requests pass while the gate is open, and whoever closes it can wait for those that have passed."""

import asyncio

from qmpserver.block.gate import Gate, Passage


def test_who_has_passed_is_waited_for_and_who_comes_later_waits() -> None:
    async def main() -> None:
        gate, passed = Gate(), []

        async def request(name: str, leave: asyncio.Event) -> None:
            async with Passage(gate, gate.until_opened):
                passed.append(name)
                await leave.wait()

        leave = asyncio.Event()
        early = asyncio.create_task(request("early", leave))
        await asyncio.sleep(0)
        gate.close()
        idle = asyncio.create_task(gate.until_idle())
        late = asyncio.create_task(request("late", leave))
        await asyncio.sleep(0)
        assert passed == ["early"]
        assert not idle.done()
        leave.set()
        await early
        await idle
        assert gate.in_flight == 0
        gate.open()
        await late
        assert passed == ["early", "late"]

    asyncio.run(main())


def test_a_gate_that_was_closed_twice_is_opened_twice() -> None:
    async def main() -> None:
        gate = Gate()
        gate.close()
        gate.close()
        waiting = asyncio.create_task(gate.until_opened())
        await asyncio.sleep(0)
        gate.open()
        await asyncio.sleep(0)
        assert not waiting.done()
        gate.open()
        await waiting

    asyncio.run(main())


def test_a_request_that_is_called_off_while_it_waits_counts_for_nothing() -> None:
    async def main() -> None:
        gate = Gate()
        gate.close()
        waiting = asyncio.create_task(Passage(gate, gate.until_opened).__aenter__())
        other = asyncio.create_task(gate.until_opened())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        assert waiting.cancelled()
        gate.open()
        await other
        await gate.until_idle()

    asyncio.run(main())
