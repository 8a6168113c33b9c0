"""What is sent arrives in order, however slowly the other side reads."""

import asyncio
import random
import socket

from qmpserver.socket_writer import SocketWriter


def test_everything_arrives_in_order_and_the_end_of_a_jam_is_told() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        ours.setblocking(False)
        drained = asyncio.Event()
        writer = SocketWriter(ours, drained.set, lambda _: None)
        writer.send([b"few ", bytearray(b""), memoryview(b"words")])
        states = [writer.is_blocked]
        rng = random.Random(1)
        pieces = [rng.randbytes(rng.choice([1, 16, 100_000])) for _ in range(700)]
        writer.send(pieces[:350])
        writer.send(pieces[350:])
        states += [writer.is_blocked, drained.is_set()]
        expected = b"few words" + b"".join(pieces)
        got = bytearray()
        while len(got) < len(expected):
            got += await asyncio.get_running_loop().sock_recv(theirs, 300_000)
        assert got == expected
        await drained.wait()
        assert [*states, writer.is_blocked] == [False, True, False, False]
        writer.close()
        ours.close()
        theirs.close()

    asyncio.run(main())


def test_a_lost_peer_is_told_of_once_and_later() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        errors: list[OSError] = []
        writer = SocketWriter(ours, lambda: None, errors.append)
        theirs.close()
        writer.send([b"x"])
        writer.send([b"y"])
        assert not errors
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [type(error) for error in errors] == [BrokenPipeError]
        ours.close()

    asyncio.run(main())


def test_what_is_left_when_it_is_closed_is_forgotten() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        writer = SocketWriter(ours, lambda: None, lambda _: None)
        writer.send([bytes(8 << 20)])
        states = [writer.is_blocked]
        writer.close()
        writer.send([b"more"])
        states.append(writer.is_blocked)
        assert states == [True, False]
        ours.close()
        theirs.close()

    asyncio.run(main())


def test_each_piece_is_told_of_when_all_of_it_has_been_taken() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        ours.setblocking(False)
        sent: list[object] = []
        drained = asyncio.Event()
        writer = SocketWriter(
            ours, drained.set, lambda _: None, lambda piece: sent.append(memoryview(piece).obj)
        )
        small, large, last = bytearray(b"few"), bytearray(4 << 20), bytearray(b"end")
        writer.send([small, large, last])
        assert sent == [small]
        left = len(small) + len(large) + len(last)
        while left:
            left -= len(await asyncio.get_running_loop().sock_recv(theirs, 1 << 20))
        await drained.wait()
        assert sent == [small, large, last]
        ours.close()
        theirs.close()

    asyncio.run(main())
