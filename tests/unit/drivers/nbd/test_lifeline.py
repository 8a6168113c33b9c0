"""A server that comes and goes, on a clock that is turned by hand."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qmpserver.clock import ManualClock
from qmpserver.driver_api.surroundings import Surroundings
from qmpserver.drivers.nbd.driver import NbdDriver
from qmpserver.drivers.nbd.lifeline import ATTEMPT_NS, SILENCE_NS
from qmpserver.errors import QMPError
from qmpserver.nbd.constants import Command, TransmissionFlag
from qmpserver.units import NS_PER_SECOND
from tests.contract.engine import Context, MemoryFile
from tests.unit.drivers.nbd.tiny_server import TinyServer

SECOND = NS_PER_SECOND


@dataclass
class Stage:
    """A server, a clock, and nodes to be opened."""

    server: TinyServer
    clock: ManualClock

    async def open(
        self, *, read_only: bool = False, auto_read_only: bool = False, **seconds: int
    ) -> NbdDriver:
        options: dict[str, Any] = {"server": {"type": "unix", "path": str(self.server.path)}}
        options.update({name.replace("_", "-"): value for name, value in seconds.items()})
        surroundings = Surroundings(clock=self.clock)
        context = Context({}, read_only=read_only, options=options, surroundings=surroundings)
        context.auto_read_only = auto_read_only
        return await NbdDriver.open(context)


async def settle() -> None:
    """Let everything happen that does not wait for the clock."""
    for _ in range(200):
        await asyncio.sleep(0)


Body = Callable[[Stage], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Body], None]:
    async def main(body: Body) -> None:
        stage = Stage(TinyServer(tmp_path / "nbd.sock", MemoryFile(b"x" * 65536)), ManualClock())
        stage.server.start()
        async with asyncio.timeout(10):
            await body(stage)
        await stage.server.stop()

    return lambda body: asyncio.run(main(body))


def read(driver: NbdDriver) -> "asyncio.Task[None]":
    return asyncio.get_running_loop().create_task(driver.pread(0, memoryview(bytearray(512)), 0))


def test_a_request_that_was_lost_is_made_again_when_the_server_is_back(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        driver = await stage.open(reconnect_delay=10)
        stage.server.answer = lambda _, __: None
        lost = read(driver)
        await settle()
        await stage.server.stop()
        await settle()
        held = read(driver)
        stage.clock.advance(SECOND)
        await settle()
        assert not lost.done()
        stage.server.answer = None
        stage.server.start()
        stage.clock.advance(2 * SECOND)
        await lost
        await held
        assert [request.command for request in stage.server.seen] == [Command.READ] * 3
        await driver.close()

    play(body)


def test_requests_are_held_for_so_long_and_then_fail_until_the_server_is_back(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        driver = await stage.open(reconnect_delay=5)
        await stage.server.stop()
        await settle()
        held = read(driver)
        await settle()
        stage.clock.advance(5 * SECOND - 1)
        await settle()
        assert not held.done()
        stage.clock.advance(1)
        with pytest.raises(OSError, match="Input/output error"):
            await held
        with pytest.raises(OSError, match="Input/output error"):
            await read(driver)
        stage.server.start()
        stage.clock.advance(16 * SECOND)
        await settle()
        await read(driver)
        await driver.close()

    play(body)


def test_without_a_delay_requests_fail_at_once_and_the_server_is_looked_for(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        driver = await stage.open()
        stage.server.answer = lambda _, __: None
        lost = read(driver)
        await settle()
        stage.server.drop()
        with pytest.raises(OSError, match="Input/output error"):
            await lost
        stage.server.answer = None
        await settle()
        await read(driver)
        assert stage.server.connections == 2
        await driver.close()

    play(body)


def test_a_node_is_closed_while_the_server_is_away(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        driver = await stage.open(reconnect_delay=5)
        await stage.server.stop()
        await settle()
        held = read(driver)
        await settle()
        await driver.close()
        with pytest.raises(OSError, match="Input/output error"):
            await held
        stage.server.start()

    play(body)


def test_opening_is_tried_again_for_so_long(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        await stage.server.stop()
        with pytest.raises(QMPError, match="Failed to connect"):
            await stage.open()
        opening = asyncio.create_task(stage.open(open_timeout=3))
        await settle()
        stage.clock.advance(SECOND)
        await settle()
        assert not opening.done()
        stage.clock.advance(2 * SECOND)
        with pytest.raises(QMPError, match="Failed to connect"):
            await opening
        opening = asyncio.create_task(stage.open(open_timeout=3))
        await settle()
        stage.server.start()
        stage.clock.advance(SECOND)
        await (await opening).close()

    play(body)


def test_opening_does_not_wait_longer_for_a_server_that_says_nothing(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        stage.server.is_mute = True
        opening = asyncio.create_task(stage.open(open_timeout=3))
        await settle()
        stage.clock.advance(3 * SECOND)
        with pytest.raises(QMPError, match="Connection timed out"):
            await opening

    play(body)


def test_who_wants_to_write_is_refused_what_is_read_only(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        stage.server.flags = TransmissionFlag.READ_ONLY
        with pytest.raises(QMPError, match="Could not open image: Permission denied"):
            await stage.open()
        await (await stage.open(read_only=True)).close()
        await (await stage.open(auto_read_only=True)).close()

    play(body)


def test_what_the_server_cannot_do_is_not_asked_of_it(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        stage.server.flags = TransmissionFlag(0)
        driver = await stage.open()
        await driver.flush()
        for request in (driver.pwrite_zeroes(0, 512, 0), driver.pdiscard(0, 512)):
            with pytest.raises(OSError, match="not supported"):
                await request
        assert not stage.server.seen
        await driver.close()

    play(body)


def test_who_is_in_a_hurry_waits_so_long_for_a_server_that_says_nothing(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        driver = await stage.open(reconnect_delay=3600)
        stage.server.answer = lambda _, __: None
        stuck = read(driver)
        await settle()
        stage.clock.advance(3600 * SECOND)
        await settle()
        assert not stuck.done()
        driver.hurry_begin()
        stage.clock.advance(SILENCE_NS - 1)
        await settle()
        assert not stuck.done()
        stage.clock.advance(1)
        with pytest.raises(OSError, match="Input/output error"):
            await stuck
        with pytest.raises(OSError, match="Input/output error"):
            await read(driver)
        driver.hurry_end()
        stage.server.answer = None
        await settle()
        await read(driver)
        await driver.close()

    play(body)


def test_a_server_that_is_slow_but_answers_is_not_given_up(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        driver = await stage.open()
        stage.server.answer = lambda request, replies: (
            replies.read_header(request) + bytes(request.length) if request.offset else None
        )
        driver.hurry_begin()
        stuck = read(driver)
        for _ in range(5):
            await driver.pread(512, memoryview(bytearray(512)), 0)
            stage.clock.advance(SILENCE_NS // 2)
            await settle()
        assert not stuck.done()
        stage.server.drop()
        with pytest.raises(OSError, match="Input/output error"):
            await stuck
        driver.hurry_end()
        await driver.close()

    play(body)


def test_requests_that_are_held_back_fail_when_somebody_is_in_a_hurry(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        driver = await stage.open(reconnect_delay=3600)
        await stage.server.stop()
        await settle()
        held = read(driver)
        await settle()
        driver.hurry_begin()
        stage.clock.advance(SILENCE_NS)
        with pytest.raises(OSError, match="Input/output error"):
            await held
        driver.hurry_end()
        await driver.close()
        stage.server.start()

    play(body)


def test_one_attempt_to_connect_does_not_wait_for_ever(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        stage.server.is_mute = True
        opening = asyncio.create_task(stage.open())
        await settle()
        stage.clock.advance(ATTEMPT_NS)
        with pytest.raises(QMPError, match="Connection timed out"):
            await opening

    play(body)


def test_a_server_behind_a_descriptor_that_has_a_name(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        plain = socket.socket(socket.AF_UNIX)
        plain.connect(str(stage.server.path))
        named = {"s": os.dup(plain.fileno()), "f": os.open(os.devnull, os.O_RDONLY)}
        plain.close()

        def claim(name: str) -> int:
            if name not in named:
                raise QMPError(f"File descriptor named '{name}' not found")
            return named.pop(name)

        surroundings = Surroundings(clock=stage.clock, claim_fd=claim)

        async def open_at(name: str) -> NbdDriver:
            options = {"server": {"type": "fd", "str": name}}
            context = Context({}, read_only=False, options=options, surroundings=surroundings)
            return await NbdDriver.open(context)

        with pytest.raises(QMPError, match="File descriptor named 'none' has not been found"):
            await open_at("none")
        with pytest.raises(QMPError, match="File descriptor 'f' is not a socket"):
            await open_at("f")
        driver = await open_at("s")
        await read(driver)
        # It did for one connection.
        stage.server.drop()
        await settle()
        with pytest.raises(OSError, match="Input/output error"):
            await read(driver)
        await driver.close()
        assert not named

    play(body)


def test_a_descriptor_that_is_no_socket_is_named_and_stays_the_only_one(play: Callable[[Body], None]) -> None:
    async def body(_: Stage) -> None:
        given = os.open(os.devnull, os.O_RDONLY)
        context = Context({}, read_only=False, options={"server": {"type": "fd", "str": str(given)}})
        with pytest.raises(QMPError, match=f"File descriptor '{given}' is not a socket"):
            await NbdDriver.open(context)
        # The lowest number that is free is the next.
        other = os.dup(given)
        os.close(other)
        with pytest.raises(QMPError, match="is not a socket"):
            await NbdDriver.open(context)
        again = os.dup(given)
        assert again == other
        for fd in (given, again):
            os.close(fd)

    play(body)


def test_who_calls_off_what_is_held_back_does_not_wait(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        driver = await stage.open(reconnect_delay=3600)
        driver.cancel_held()
        await read(driver)
        await stage.server.stop()
        await settle()
        held = read(driver)
        await settle()
        assert not held.done()
        driver.cancel_held()
        with pytest.raises(OSError, match="Input/output error"):
            await held
        stage.server.start()
        stage.clock.advance(SECOND)
        await settle()
        await read(driver)
        # The next loss is met with patience again.
        await stage.server.stop()
        await settle()
        held = read(driver)
        stage.clock.advance(1800 * SECOND)
        await settle()
        assert not held.done()
        await driver.close()
        stage.server.start()

    play(body)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_connection_that_is_cut_is_not_made_again(play: Callable[[Body], None], *, is_there: bool) -> None:
    async def body(stage: Stage) -> None:
        driver = await stage.open(reconnect_delay=10)
        stage.server.answer = lambda _, __: None
        if not is_there:
            await stage.server.stop()
            await settle()
        held = read(driver)
        await settle()
        driver.yank()
        with pytest.raises(OSError, match="Input/output error"):
            await held
        stage.clock.advance(20 * SECOND)
        await settle()
        with pytest.raises(OSError, match="Input/output error"):
            await read(driver)
        await driver.close()

    play(body)
