"""Many clients, and the events they get."""

import asyncio
import io
import json
import os
import random

import pytest

from qmpserver.monitor import monitor as monitor_module
from qmpserver.units import NS_PER_MS
from tests.unit.monitor.conftest import Run
from tests.unit.monitor.world import World, a_world, request, turns


def test_ten_clients_at_once_each_get_their_own_replies(run: Run) -> None:
    async def talk(world: World, number: int) -> None:
        rows = random.Random(number)
        client = await world.connect(oob=number % 2 == 0)
        for start in range(0, 300, 30):
            batch = b"".join(
                request("echo", [number, serial], n=serial) for serial in range(start, start + 30)
            )
            while batch:
                cut = rows.randrange(1, 400)
                await client.send(batch[:cut])
                batch = batch[cut:]
            for serial in range(start, start + 30):
                assert await client.message() == {"return": {"n": serial}, "id": [number, serial]}

    async def main() -> None:
        async with a_world() as world, asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(talk(world, number))

    run(main())


def test_events_go_to_all_who_have_negotiated(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            first, second = await world.connect(), await world.connect()
            late = await world.connect(negotiate=False)
            world.events.emit("HAPPENED", {"n": 1})
            world.events.emit("HAPPENED")
            for client in (first, second):
                assert [await client.message() for _ in range(2)] == [
                    {
                        "timestamp": {"seconds": 10**9, "microseconds": 0},
                        "event": "HAPPENED",
                        "data": {"n": 1},
                    },
                    {"timestamp": {"seconds": 10**9, "microseconds": 0}, "event": "HAPPENED"},
                ]
            await late.negotiate()

    run(main())


def test_an_event_comes_before_the_reply_of_the_command_that_caused_it_and_after_earlier_ones(
    run: Run,
) -> None:
    async def main() -> None:
        async with a_world() as world:
            client = await world.connect()
            await client.send(request("nothing", 1) + request("emit", 2, name="X") + request("nothing", 3))
            messages = [await client.message() for _ in range(4)]
            assert [message.get("event", message.get("id")) for message in messages] == [1, "X", 2, 3]

    run(main())


def test_events_that_repeat_too_fast_are_held_back_and_the_last_follows(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            client = await world.connect()
            for number in range(5):
                world.events.emit("LIMITED", {"n": number})
            world.events.emit("OTHER")
            world.clock.advance(1000 * NS_PER_MS)
            world.clock.advance(1000 * NS_PER_MS)
            world.events.emit("LIMITED", {"n": 5})
            messages = [await client.message() for _ in range(4)]
            assert [message.get("data", message["event"]) for message in messages] == [
                {"n": 0},
                "OTHER",
                {"n": 4},
                {"n": 5},
            ]

    run(main())


def test_a_client_that_never_reads_is_dropped_past_a_bound_and_nobody_else_notices(
    run: Run, logged: io.StringIO
) -> None:
    async def main() -> None:
        async with a_world() as world:
            deaf, reading = await world.connect(), await world.connect()
            text = "x" * 100_000
            for serial in range(200):
                world.events.emit("BIG", {"text": text})
                assert (await reading.message())["event"] == "BIG"
                if serial == 100:
                    assert len(world.monitor.clients) == 2
            assert [client.client_id for client in world.monitor.clients] == [2]
            assert await reading.execute("nothing") == {}
            deaf.close()

    run(main())
    (line,) = [json.loads(line) for line in logged.getvalue().splitlines() if "dropped" in line]
    assert line["event"] == "client dropped: it does not read"
    assert line["client"] == 1


def test_clients_past_the_limit_are_turned_away(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_module, "MAX_CLIENTS", 1)

    async def main() -> None:
        async with a_world() as world:
            first = await world.connect()
            second = await world.connect(negotiate=False)
            assert await second.is_at_end()
            assert await first.execute("nothing") == {}

    run(main())


def test_closing_lets_commands_under_way_end_and_begins_no_others(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            client, other = await world.connect(), await world.connect()
            await other.send(request("big") * 2)
            await client.send(request("slow") + request("nothing"))
            await turns()
            closing = asyncio.create_task(world.monitor.close())
            await turns()
            world.gate.set()
            assert (await client.message())["return"] == "slow"
            assert await client.is_at_end()
            assert [len((await other.message())["return"]) for _ in range(2)] == [100_000] * 2
            assert await other.is_at_end()
            await closing

    run(main())


def test_sets_that_were_never_opened_are_closed_with_the_last_client(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            first, second = await world.connect(), await world.connect()
            world.monitor.fd_sets.add(os.open("/dev/null", os.O_RDONLY))
            first.close()
            while len(world.monitor.clients) == 2:
                await asyncio.sleep(0)
            assert len(world.monitor.fd_sets.query()) == 1
            second.close()
            while world.monitor.clients:
                await asyncio.sleep(0)
            assert world.monitor.fd_sets.query() == []

    run(main())
