"""One client: order of replies, errors, its end."""

import asyncio
import io
import json
import os
import socket
from typing import Any

import pytest

from tests.unit.monitor.conftest import Run
from tests.unit.monitor.world import a_world, request, turns


def test_commands_are_answered_in_order_whether_they_wait_or_not(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            client = await world.connect()
            world.gate.set()
            names = ["nothing", "slow", "at-once", "slow", "oob", "nothing"]
            await client.send(b"".join(request(name, index) for index, name in enumerate(names)))
            replies = [await client.message() for _ in names]
            assert [reply["id"] for reply in replies] == list(range(6))
            assert [reply["return"] for reply in replies] == [{}, "slow", "at once", "slow", "oob", {}]

    run(main())


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("not-found", {"class": "DeviceNotFound", "desc": "Device 'x' not found"}),
        ("full-disk", {"class": "GenericError", "desc": "No space left on device"}),
        ("slow-failure", {"class": "GenericError", "desc": "Input/output error"}),
        ("nope", {"class": "CommandNotFound", "desc": "The command nope has not been found"}),
    ],
)
def test_a_command_that_fails_is_answered_with_its_error(run: Run, name: str, error: dict[str, Any]) -> None:
    async def main() -> None:
        async with a_world() as world:
            client = await world.connect()
            world.gate.set()
            await client.send(request(name, 1))
            assert await client.message() == {"id": 1, "error": error}
            assert await client.execute("nothing") == {}

    run(main())


def test_events_go_on_after_a_reply_that_could_not_be_written(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with a_world() as world:
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            client = await world.connect()
            with monkeypatch.context() as patch:
                patch.setattr("qmpserver.monitor.client.messages.reply", lambda *_: 1 // 0)
                patch.setattr("qmpserver.qmp.session.refusal", lambda *_: 1 // 0)
                await client.send(request("nothing"))
                await turns()
            world.events.emit("E")
            assert (await client.message())["event"] == "E"

    run(main())


def test_an_error_of_ours_is_logged_and_not_shown(run: Run, logged: io.StringIO) -> None:
    async def main() -> None:
        async with a_world() as world:
            client = await world.connect()
            await client.send(request("crash"))
            assert await client.message() == {"error": {"class": "GenericError", "desc": "internal error"}}
            assert await client.execute("nothing") == {}

    run(main())
    (line,) = [json.loads(line) for line in logged.getvalue().splitlines() if "crash" in line]
    assert line["event"] == "command failed"
    assert "ZeroDivisionError" in line["exception"]


def test_out_of_band_commands_overtake_the_one_under_way(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            client = await world.connect(oob=True)
            await client.send(request("slow", 1) + request("nothing", 2) + b'{"exec-oob": "oob", "id": 3}')
            assert await client.message() == {"return": "oob", "id": 3}
            world.gate.set()
            assert [(await client.message())["id"] for _ in range(2)] == [1, 2]

    run(main())


def test_reading_stops_while_a_command_is_under_way(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            client = await world.connect()
            await client.send(request("slow"))
            flood = asyncio.create_task(client.send(request("nothing") * 100_000))
            await turns(200)
            assert not flood.done()
            flood.cancel()

    run(main())


def test_a_client_that_ends_its_side_is_answered_everything_first(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            client = await world.connect()
            await client.send(
                request("slow", 0) + b"".join(request("echo", index) for index in range(1, 1001))
            )
            client.socket.shutdown(socket.SHUT_WR)
            await turns()
            world.gate.set()
            assert [(await client.message())["id"] for _ in range(1001)] == list(range(1001))
            assert await client.is_at_end()
            assert world.monitor.clients == []

    run(main())


def test_a_client_that_dies_in_the_middle_of_a_message_is_forgotten(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            client, other = await world.connect(), await world.connect()
            await client.send(request("nothing") + b'{"execute": "no')
            client.close()
            assert await other.execute("nothing") == {}
            while len(world.monitor.clients) > 1:
                await asyncio.sleep(0)

    run(main())


def test_a_command_ends_although_its_client_is_gone(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            client = await world.connect()
            await client.send(request("slow") + request("slow"))
            await turns()
            world.monitor.clients[0].close()
            assert await client.is_at_end()
            world.gate.set()
            while world.monitor.running:
                await asyncio.sleep(0)
            assert world.ended == 1

    run(main())


def test_replies_that_are_not_read_hold_up_only_the_client_itself(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            idle, busy = await world.connect(), await world.connect()
            await idle.send(request("big") * 400)
            for _ in range(50):
                assert await busy.execute("nothing") == {}
            assert world.monitor.clients[0].backlog < 1 << 20
            assert [len((await idle.message())["return"]) for _ in range(400)] == [100_000] * 400

    run(main())


def test_many_commands_at_once_do_not_starve_others(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            greedy, modest = await world.connect(), await world.connect()
            flood = asyncio.create_task(greedy.send(request("nothing") * 100_000))
            await turns()
            for _ in range(20):
                assert await modest.execute("nothing") == {}
            assert not flood.done()
            flood.cancel()
            greedy.close()

    run(main())


def test_descriptors_go_to_the_commands_they_came_with(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            client = await world.connect()
            pipes = [os.pipe() for _ in range(3)]
            client.send_with_fds(request("nothing"), pipes[0][1])
            client.send_with_fds(request("getfd", fdname="a"), pipes[1][1])
            client.send_with_fds(request("getfd", fdname="b"), pipes[2][1])
            for _, write_fd in pipes:
                os.close(write_fd)
            assert [await client.message() for _ in range(3)] == [{"return": {}}] * 3
            assert os.read(pipes[0][0], 1) == b""  # came with a command that had no use for it
            fds = world.monitor.clients[0].fds
            with os.fdopen(fds.claim("b"), "wb") as claimed:
                claimed.write(b"b")
            assert os.read(pipes[2][0], 1) == b"b"
            client.close()
            while world.monitor.clients:
                await asyncio.sleep(0)
            assert os.read(pipes[1][0], 1) == b""
            for read_fd, _ in pipes:
                os.close(read_fd)

    run(main())


def test_a_descriptor_waits_for_the_end_of_its_message(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            client = await world.connect()
            read_fd, write_fd = os.pipe()
            line = request("getfd", fdname="a")
            client.send_with_fds(line[:5], write_fd)
            os.close(write_fd)
            await turns()
            await client.send(line[5:])
            assert await client.message() == {"return": {}}
            await client.send(request("getfd", fdname="a"))
            text = "No file descriptor supplied via SCM_RIGHTS"
            assert (await client.message())["error"]["desc"] == text
            os.close(read_fd)

    run(main())


def test_who_asked_for_a_change_is_logged(run: Run, logged: io.StringIO) -> None:
    async def main() -> None:
        async with a_world() as world:
            client = await world.connect()
            await client.execute("change")
            await client.execute("nothing")

    run(main())
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    (command,) = [line for line in lines if line["event"] == "command"]
    assert (command["command"], command["client"]) == ("change", 1)
    assert (command["uid"], command["pid"]) == (os.getuid(), os.getpid())


def test_messages_may_be_indented(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            client = await world.connect(negotiate=False, pretty=True)
            assert await client.line() == b"{\r\n"
            assert await client.line() == b'    "QMP": {\r\n'

    run(main())
