"""A test turns a machine's clock through a connection, and throttles and jobs follow."""

import asyncio
import io
import os
import re
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from qmpserver.clock import SteppedClock
from qmpserver.machine.machine import Machine
from qmpserver.machine.qtest.protocol import QtestProtocol
from qmpserver.machine.qtest.server import MOST_PENDING, QtestLog, QtestServer
from qmpserver.monitor.channel import SocketChannel
from qmpserver.schema.loader import load
from qmpserver.server import Server
from qmpserver.sockets import Peer
from qmpserver.units import KiB, MiB

SCHEMA = load(with_machine=True)


class Test:
    """A client of one machine.

    Attributes:
        machine: The machine.
        server: Its server.
        log: What was said.
    """

    __test__ = False

    def __init__(self) -> None:
        clock = SteppedClock()
        self.machine = Machine(SCHEMA, clock)
        self.server = Server(daemon=self.machine)
        self.log = io.StringIO()
        self.qtest = QtestServer(QtestProtocol(clock, lambda _path: False), QtestLog(self.log))
        self.socket, theirs = socket.socketpair()
        self.socket.setblocking(False)
        self.client = self.qtest.attach(SocketChannel(theirs), Peer(uid=0, gid=0, pid=0))

    async def say(self, data: bytes, length: int = 1) -> bytes:
        """Send bytes, and return so many lines of answers."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.socket, data)
        answers = b""
        while answers.count(b"\n") < length:
            answers += await loop.sock_recv(self.socket, 4096)
        return answers


def with_test(body: Callable[[Test], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20):
            test = Test()
            try:
                await body(test)
            finally:
                await test.qtest.close()
                test.socket.close()
                await test.server.close()

    asyncio.run(main())


def test_lines_are_answered_in_order_however_they_are_cut() -> None:
    async def body(test: Test) -> None:
        assert await test.say(b"clock_step 1\nclock_st", 1) == b"OK 1\n"
        assert await test.say(b"ep 2\r\nendianness\n", 2) == b"OK 3\nOK little\n"
        told = re.sub(r"\+[0-9.]+", "+T", test.log.getvalue()).splitlines()
        assert told[:2] == ["[R +T] clock_step 1", "[S +T] OK 1"]

    with_test(body)


def test_what_was_asked_before_the_end_is_answered() -> None:
    async def body(test: Test) -> None:
        await asyncio.get_running_loop().sock_sendall(test.socket, b"clock_get\nclock_get\n")
        test.socket.shutdown(socket.SHUT_WR)
        answers = b""
        while data := await asyncio.get_running_loop().sock_recv(test.socket, 4096):
            answers += data
        assert answers == b"OK 0\nOK 0\n"
        assert test.client.is_gone

    with_test(body)


def test_a_line_without_an_end_and_descriptors_are_not_kept() -> None:
    async def body(test: Test) -> None:
        reading, writing = os.pipe()
        socket.send_fds(test.socket, [b"x"], [writing])
        os.close(writing)
        loop = asyncio.get_running_loop()
        sending = loop.create_task(loop.sock_sendall(test.socket, bytes(2 * MOST_PENDING)))
        await asyncio.wait([sending])
        assert sending.exception() is not None
        assert test.client.is_gone
        assert os.read(reading, 1) == b""
        os.close(reading)

    with_test(body)


def test_throttles_follow_the_clock() -> None:
    async def body(test: Test) -> None:
        limits = {"iops-total": 1}
        await test.server.execute(
            "object-add", {"qom-type": "throttle-group", "id": "group", "limits": limits}
        )
        node: dict[str, Any] = {"driver": "throttle", "node-name": "slow", "throttle-group": "group"}
        node["file"] = {"driver": "null-co", "size": MiB, "read-zeroes": True}
        await test.server.execute("blockdev-add", node)
        async with test.server.backend("slow") as backend:
            reads = [asyncio.ensure_future(backend.pread(0, memoryview(bytearray(KiB)))) for _ in range(3)]
            ended = []
            for _ in range(3):
                await test.say(b"clock_step 1000000000\n")
                for _turn in range(20):
                    await asyncio.sleep(0)
                ended.append(sum(read.done() for read in reads))
            assert ended == [2, 3, 3]

    with_test(body)


def test_jobs_follow_the_clock() -> None:
    async def body(test: Test) -> None:
        for name in ("from", "to"):
            node = {"driver": "null-co", "node-name": name, "size": 4 * MiB, "read-zeroes": False}
            await test.server.execute("blockdev-add", node)
        wanted = {"job-id": "j", "device": "from", "target": "to", "sync": "full", "speed": MiB}
        await test.server.execute("blockdev-backup", wanted)
        seconds = 0
        while await test.server.execute("query-block-jobs"):
            await test.say(b"clock_step 1000000000\n")
            for _turn in range(100):
                await asyncio.sleep(0)
            seconds += 1
        assert 3 <= seconds <= 5

    with_test(body)
