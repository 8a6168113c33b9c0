import asyncio
from pathlib import Path
from typing import Any

import pytest

from qmpserver.shell.client import CommandFailed, Connection, Message, NotConnected
from tests.unit.shell.scripted_server import GREETING, Answer, echo, serving


async def opened(address: Any, events: list[Message] | None = None, *, negotiate: bool = True) -> Connection:
    return await Connection.open(address, (events if events is not None else []).append, negotiate=negotiate)


def test_a_reply_comes_without_the_id_that_the_request_was_given(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(str(tmp_path / "s")) as address:
            connection = await opened(address)
            assert connection.greeting == GREETING["QMP"]
            reply = await connection.request({"execute": "a", "arguments": {}})
            assert reply["return"].pop("id").startswith("qmpserver-shell#")
            assert reply == {"return": {"execute": "a", "arguments": {}}}
            own = await connection.request({"execute": "a", "id": {"x": [1]}})
            assert own == {"return": {"execute": "a", "id": {"x": [1]}}, "id": {"x": [1]}}
            await connection.close()

    asyncio.run(run())


def test_replies_find_their_requests_whatever_their_order(tmp_path: Path) -> None:
    held: list[Message] = []

    def answer(request: Message) -> list[Any]:
        if request["execute"] == "late":
            held.append(request)
            return []
        return [{"event": "NOW"}, *echo(request), *(reply for late in held for reply in echo(late))]

    async def run() -> None:
        events: list[Message] = []
        async with serving(str(tmp_path / "s"), answer) as address:
            connection = await opened(address, events)
            events.clear()
            late = asyncio.create_task(connection.execute("late"))
            await asyncio.sleep(0)
            assert (await connection.execute("soon"))["execute"] == "soon"
            assert (await late)["execute"] == "late"
            assert events == [{"event": "NOW"}]
            await connection.close()

    asyncio.run(run())


def test_an_error_without_an_id_is_to_the_oldest_request(tmp_path: Path) -> None:
    def answer(request: Message) -> list[Any]:
        return echo(request) if request["execute"] == "qmp_capabilities" else [{"error": {"desc": "bad"}}]

    async def run() -> None:
        async with serving(str(tmp_path / "s"), answer) as address:
            connection = await opened(address)
            with pytest.raises(CommandFailed, match="bad"):
                await connection.execute("a")
            await connection.close()

    asyncio.run(run())


def _vanish(request: Message) -> list[Any]:
    return echo(request) if request["execute"] == "qmp_capabilities" else [None]


def _talk_nonsense(request: Message) -> list[Any]:
    return echo(request) if request["execute"] == "qmp_capabilities" else [[1]]


@pytest.mark.parametrize("answer", [_vanish, _talk_nonsense])
def test_a_server_that_goes_leaves_no_request_waiting(answer: Answer, tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(str(tmp_path / "s"), answer) as address:
            connection = await opened(address)
            with pytest.raises(NotConnected):
                await connection.execute("a")
            await connection.wait_closed()
            with pytest.raises(NotConnected):
                await connection.execute("a")
            await connection.close()

    asyncio.run(run())


class SilentTransport(asyncio.Transport):
    def write(self, data: Any) -> None:
        pass


def test_a_reply_counts_where_the_server_resets_the_connection_behind_it() -> None:
    async def run() -> None:
        connection = Connection(lambda event: None)
        connection.connection_made(SilentTransport())
        connection.data_received(b'{"QMP": {}}')
        asked = asyncio.create_task(connection.execute("quit"))
        await asyncio.sleep(0)
        connection.data_received(b'{"return": 7}')
        connection.connection_lost(ConnectionResetError())
        assert await asked == 7

    asyncio.run(run())


@pytest.mark.parametrize(
    ("first", "reason"),
    [(b"{}\n", "no QMP greeting"), (b"220 smtp\r\n", "does not speak QMP"), (b"[]\n", "does not speak QMP")],
)
def test_what_does_not_greet_is_no_qmp_server(first: bytes, reason: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(str(tmp_path / "s"), first=first) as address:
            with pytest.raises(NotConnected, match=reason):
                await opened(address)

    asyncio.run(run())


def test_a_server_that_refuses_to_be_used_is_parted_from(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(str(tmp_path / "s"), lambda request: [{"error": {"desc": "no"}}]) as address:
            with pytest.raises(NotConnected, match="the server refuses to be used: no"):
                await opened(address)

    asyncio.run(run())


def test_a_guest_agent_is_not_waited_for(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(str(tmp_path / "s"), first=b"") as address:
            connection = await opened(address, negotiate=False)
            assert (await connection.execute("guest-ping"))["execute"] == "guest-ping"
            await connection.close()

    asyncio.run(run())
