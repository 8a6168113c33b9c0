"""People are served at the pace that they read and the machine works."""

import asyncio

from qmpserver.machine.hmp.monitor import PROMPT, HumanMonitor
from qmpserver.monitor.channel import Channel, Receiver
from qmpserver.sockets import Peer
from tests.unit.machine.devices.machines import waits
from tests.unit.machine.hmp.human import person


class FakeChannel(Channel):
    """Keeps what is written, and whether anything is read.

    Attributes:
        shown: What was written.
        unread: How much of it has not arrived.
        is_slow: What is written from now on arrives when the test says so.
    """

    def __init__(self) -> None:
        super().__init__(-1, -1)
        self.shown = b""
        self.unread = 0
        self.is_slow = self._is_listening = self._is_closed = False

    def is_listening(self) -> bool:
        """Say whether anything that is sent would be read."""
        return self._is_listening

    def is_closed(self) -> bool:
        """Say whether the connection has ended."""
        return self._is_closed

    @property
    def backlog(self) -> int:
        return self.unread

    def start(self, receiver: Receiver) -> None:
        del receiver
        self._is_listening = True

    def pause_reading(self) -> None:
        self._is_listening = False

    def resume_reading(self) -> None:
        self._is_listening = True

    def write(self, data: bytes | bytearray) -> None:
        self.shown += data
        self.unread += len(data) if self.is_slow else 0

    def close(self) -> None:
        self._is_closed = True

    def _receive(self) -> tuple[bytes, list[int]]:
        raise AssertionError

    def _send(self, data: bytes | bytearray) -> int:
        raise AssertionError

    def _release(self) -> None:
        raise AssertionError


@waits
async def test_nothing_is_read_while_a_command_is_carried_out() -> None:
    async with person() as somebody:
        machine, channel = somebody.machine, FakeChannel()
        client = HumanMonitor(machine, machine.commands).attach(channel, Peer())
        assert channel.is_listening()
        async with machine.graph.lock:
            client.received(b"drive_add 0 if=none,id=d\n", [])
            await asyncio.sleep(0)
            assert not channel.is_listening()
        await client.settled()
        await asyncio.sleep(0)
        assert channel.is_listening()
        assert channel.shown.endswith(b"OK\r\n" + PROMPT.encode())


@waits
async def test_who_ends_is_shown_everything_before_the_connection_does() -> None:
    async with person() as somebody:
        machine, channel = somebody.machine, FakeChannel()
        client = HumanMonitor(machine, machine.commands).attach(channel, Peer())
        async with machine.graph.lock:
            client.received(b"drive_add 0 if=none,id=d\nabc", [])
            await asyncio.sleep(0)
            client.ended()
        channel.is_slow = True
        while not channel.unread:
            await asyncio.sleep(0)
        while not channel.is_closed():
            channel.unread = 0
            client.drained()
            await asyncio.sleep(0)
            assert not (channel.is_closed() and channel.unread)
        assert channel.shown.endswith(b"abc\x1b[K")
