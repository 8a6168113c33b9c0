"""The life of an export under load and faults, made from a seed; its data is proven against a model.

Clients write each to a part of the disk of its own, several requests at once, while others die in the middle of
a request, send nonsense, ask for what cannot be done, do not read what they asked for, or say nothing; and while the
node is drained, snapshotted, mirrored away, taken from its clients and offered again.
"""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from qmpserver.block.backend import BlockBackend
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.drivers.nbd.connection import ConnectionLost, NbdConnection
from qmpserver.drivers.nbd.handshake import shake_hands
from qmpserver.errors import NodeInUse, QMPError
from qmpserver.exports.nbd_export import NbdExport
from qmpserver.nbd import wire
from qmpserver.nbd.client_handshake import HandshakeRefused
from qmpserver.nbd.client_replies import RequestWriter
from qmpserver.nbd.constants import Command, CommandFlag, Option
from qmpserver.nbd.server_handshake import HeaderMode
from qmpserver.nbd.wire import ProtocolError
from qmpserver.server import Server

SIZE: Final = 2 << 20
UNIT: Final = 512
WRITERS: Final = 3
PATIENCE_S: Final = 60.0

_REQUESTS: Final = RequestWriter(HeaderMode.SIMPLE)

IMPOSSIBLE: Final = [
    (Command.READ, SIZE - 1, 2),
    (Command.READ, 1 << 63, 512),
    (Command.READ, 0, (32 << 20) + 1),
    (Command.WRITE_ZEROES, SIZE - 512, 1024),
    (Command.WRITE_ZEROES, 0, 1 << 32),
    (Command.TRIM, 0, 1 << 32),
    (Command.CACHE, SIZE, 1),
    (Command.BLOCK_STATUS, 0, 0),
    (Command.RESIZE, 0, 512),
]


class Life:
    """One export, its model, and what is done to it.

    Args:
        seed: What everything is drawn from.
        folder: Where images and sockets are.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = random.Random(seed)
        self.folder = folder
        self.path = folder / "nbd.sock"
        self.model = bytearray(SIZE)
        self.top = "n0"
        self.layers = 1
        self.is_mirrored = False
        self.is_over = False
        self.did: dict[str, int] = {}
        self.server = Server()

    async def execute(self, command: str, **arguments: Any) -> Any:
        wire_names = {name.replace("_", "-"): value for name, value in arguments.items()}
        return await self.server.execute(command, wire_names)

    # Beginning and end

    async def run(self, steps: int) -> dict[str, int]:
        """Live for so many faults; return what was done, and how often.

        Raises:
            AssertionError: Data was lost, or somebody was not parted with.
        """
        async with asyncio.timeout(PATIENCE_S), self.server:
            await self._begin()
            writers = [asyncio.ensure_future(self._write_on(part)) for part in range(WRITERS)]
            try:
                for _ in range(steps):
                    fault = self.rng.choice(FAULTS)
                    self._count(fault.__name__.strip("_"))
                    await fault(self)
                    await asyncio.sleep(0.005)
            finally:
                self.is_over = True
                outcomes = await asyncio.gather(*writers, return_exceptions=True)
            failures = [outcome for outcome in outcomes if outcome is not None]
            assert not failures, failures
            await self._prove()
        return self.did

    async def _begin(self) -> None:
        image = str(self.folder / "image0")
        await self.server.create_image(image, "qcow2", SIZE)
        file = {"driver": "file", "filename": image}
        await self.execute("blockdev-add", driver="qcow2", node_name="n0", file=file, discard="unmap")
        await self._offer()

    async def _offer(self) -> None:
        address = {"type": "unix", "data": {"path": str(self.path)}}
        await self.execute("nbd-server-start", addr=address, max_connections=64)
        await self._export()

    async def _export(self) -> None:
        await self.execute(
            "block-export-add", type="nbd", id="e", node_name=self.top, name="disk", writable=True
        )

    async def _prove(self) -> None:
        """Compare all data with the model, as a client sees it and as the node has it."""
        into = bytearray(SIZE)
        async with self.client() as client:
            await client.request(Command.READ, 0, SIZE, into=memoryview(into))
        assert into == self.model
        await self.execute("nbd-server-stop")
        async with self.server.backend(self.top) as backend:
            await backend.pread(0, memoryview(into))
        assert into == self.model

    # Clients

    def dial(self) -> socket.socket:
        plain = socket.socket(socket.AF_UNIX)
        plain.setblocking(False)
        try:
            plain.connect(str(self.path))
        except OSError:
            plain.close()
            raise
        return plain

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[NbdConnection]:
        connection = await shake_hands(self.dial(), "disk", ("base:allocation",), None)
        try:
            yield connection
        finally:
            connection.close(politely=True)

    async def _write_on(self, part: int) -> None:
        """Write to one part of the disk, on a new connection whenever one is lost."""
        rng = random.Random(self.rng.random())
        begin, length = part * (SIZE // WRITERS // UNIT * UNIT), SIZE // WRITERS // UNIT * UNIT
        while not self.is_over:
            try:
                async with self.client() as client:
                    while not self.is_over:
                        cuts = sorted(rng.sample(range(0, length, UNIT // 2), 6))
                        ranges = [(begin + a, b - a) for a, b in zip(cuts[::2], cuts[1::2], strict=True)]
                        async with asyncio.TaskGroup() as changes:
                            for where in ranges:
                                changes.create_task(self._change(client, rng, *where))
                        # Others, a job for one, are to come to their end some day.
                        await asyncio.sleep(0.02 if self.is_mirrored else 0.005)
            except* (OSError, HandshakeRefused, ProtocolError):
                await asyncio.sleep(0)

    async def _change(self, client: NbdConnection, rng: random.Random, offset: int, length: int) -> None:
        """Change a range, and the model with it; when the connection is lost, see what became of it."""
        old = bytes(self.model[offset : offset + length])
        is_write = rng.random() < 0.6
        new = rng.randbytes(length) if is_write else bytes(length)
        command = Command.WRITE if is_write else rng.choice([Command.WRITE_ZEROES, Command.TRIM])
        flags = rng.choice([CommandFlag.NONE, CommandFlag.FUA])
        data = memoryview(new) if is_write else None
        request = client.request(command, offset, length, flags=flags, data=data)
        try:
            # What was sent is waited for, so that nobody asks too early what became of it.
            await request
        except (ConnectionLost, asyncio.CancelledError):
            self.model[offset : offset + length] = await _settled(self._look(offset, length), old, new)
            raise
        except OSError as error:
            raise AssertionError(f"{command!r} at {offset} of {length} failed") from error
        if command is Command.TRIM:
            # What was not whole clusters stays as it was.
            new = await _settled(self._look(offset, length), old, new)
        self.model[offset : offset + length] = new
        self._count("change")

    def _count(self, what: str) -> None:
        self.did[what] = self.did.get(what, 0) + 1

    async def _look(self, offset: int, length: int) -> bytes:
        """Return what a range holds once all requests for it have ended."""
        into = bytearray(length)
        graph = self.server.daemon.graph
        backend = BlockBackend(graph)
        # Also those that wait for a node that is held still, of clients that are gone.
        requests = [
            request
            for export in self.server.daemon.exports
            if isinstance(export, NbdExport)
            for request in export.in_flight
        ]
        if requests:
            await asyncio.wait(requests)
        async with graph.lock:
            # Where the export is now: it follows a job or a snapshot before the command that asked for it ends.
            roots = [export.backend.root for export in self.server.daemon.exports]
            node = next((root.node for root in roots if root is not None), None) or graph.find(self.top)
            await backend.insert(node, PermissionSet(Permission.CONSISTENT_READ, PERM_ALL))
        try:
            await backend.pread(offset, memoryview(into))
        finally:
            async with graph.lock:
                await backend.remove()
        return bytes(into)

    # Faults

    async def _talk_nonsense(self) -> None:
        """Send random bytes in each phase."""
        loop = asyncio.get_running_loop()
        for phase in range(3):
            plain = self.dial() if phase < 2 else await self._greet()
            with contextlib.suppress(OSError):
                if phase == 1:
                    await loop.sock_sendall(plain, wire.CLIENT_FLAGS.pack(3))
                await loop.sock_sendall(plain, self.rng.randbytes(self.rng.randrange(1, 2000)))
            plain.close()

    async def _greet(self) -> socket.socket:
        """Go over to transmission the oldest way."""
        plain = self.dial()
        loop = asyncio.get_running_loop()
        await loop.sock_recv(plain, 18)
        await loop.sock_sendall(plain, wire.CLIENT_FLAGS.pack(3) + wire.option(Option.EXPORT_NAME, b"disk"))
        await loop.sock_recv(plain, 10)
        return plain

    async def _die_in_a_request(self) -> None:
        """Send a write but for its last byte, which is not to be carried out."""
        plain = await self._greet()
        length = self.rng.choice([512, 65536, 1 << 20])
        whole = _REQUESTS.write(Command.WRITE, 1, 0, length) + b"never" * length
        await asyncio.get_running_loop().sock_sendall(plain, whole[: 28 + length - 1])
        plain.close()

    async def _do_not_read(self) -> None:
        """Ask for more than is ever read, look on for a while, and go."""
        plain = await self._greet()
        lines = b"".join(_REQUESTS.write(Command.READ, cookie, 0, 1 << 20) for cookie in range(100))
        await asyncio.get_running_loop().sock_sendall(plain, lines)
        await self._pass_time()
        plain.close()

    async def _say_nothing(self) -> None:
        silent = [self.dial() for _ in range(20)]
        await self._pass_time()
        for plain in silent:
            plain.close()

    async def _ask_the_impossible(self) -> None:
        async with self.client() as client:
            for command, offset, length in self.rng.sample(IMPOSSIBLE, 4):
                try:
                    await client.request(command, offset, length)
                except ConnectionLost as error:
                    raise AssertionError(
                        f"{command!r} at {offset} of {length} ended the connection"
                    ) from error
                except OSError:
                    continue
                raise AssertionError(f"{command!r} at {offset} of {length} was carried out")

    async def _resize(self) -> None:
        with contextlib.suppress(QMPError):
            await self.execute("block_resize", node_name=self.top, size=2 * SIZE)
            raise AssertionError("an export's node was resized")

    async def _snapshot(self) -> None:
        """Put an overlay over the node, which is held still meanwhile."""
        overlay = await self._add_layer()
        await self.execute("blockdev-snapshot", node=self.top, overlay=overlay)
        self.top = overlay

    async def _mirror(self) -> None:
        """Lead the export over to a copy, and delete what it was of."""
        target = await self._add_layer()
        self.is_mirrored = True
        await self.execute(
            "blockdev-mirror",
            job_id="j",
            device=self.top,
            target=target,
            sync="full",
            copy_mode=self.rng.choice(["background", "write-blocking"]),
        )
        while (jobs := await self.execute("query-jobs")) and jobs[0]["status"] != "ready":
            await asyncio.sleep(0.001)
        await self.execute("job-complete", id="j")
        while await self.execute("query-jobs"):
            await asyncio.sleep(0.001)
        self.is_mirrored = False
        old, self.top = self.top, target
        (export,) = await self.execute("query-block-exports")
        assert export["node-name"] == target
        await self._delete(old)

    async def _delete(self, name: str) -> None:
        """Delete a node, as soon as nobody looks at it any more."""
        while True:
            try:
                await self.execute("blockdev-del", node_name=name)
            except NodeInUse:
                await asyncio.sleep(0.001)
            else:
                return

    async def _add_layer(self) -> str:
        name = f"n{self.layers}"
        image = str(self.folder / f"image{self.layers}")
        self.layers += 1
        await self.server.create_image(image, "qcow2", SIZE)
        file = {"driver": "file", "filename": image}
        added = {"driver": "qcow2", "node_name": name, "file": file, "discard": "unmap"}
        await self.execute("blockdev-add", **added, backing=None)
        return name

    async def _part_with_clients(self) -> None:
        await self.execute("block-export-del", id="e", mode="hard")
        await self._pass_time()
        await self._export()

    async def _stop_the_server(self) -> None:
        await self.execute("nbd-server-stop")
        await self._pass_time()
        await self._offer()

    async def _pass_time(self) -> None:
        for _ in range(self.rng.randrange(30)):
            await asyncio.sleep(0)


async def _settled(look: Awaitable[bytes], old: bytes, new: bytes) -> bytes:
    """Return what there is, which must be the old or the new, sector by sector."""
    task = asyncio.ensure_future(look)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    found = task.result()
    for at in range(0, len(found), UNIT // 2):
        end = at + UNIT // 2
        assert found[at:end] in (old[at:end], new[at:end]), f"neither old nor new at byte {at}"
    return found


FAULTS: Final[list[Callable[[Life], Awaitable[None]]]] = [
    Life._talk_nonsense,
    Life._die_in_a_request,
    Life._do_not_read,
    Life._say_nothing,
    Life._ask_the_impossible,
    Life._resize,
    Life._snapshot,
    Life._mirror,
    Life._part_with_clients,
    Life._stop_the_server,
]


def run(seed: int, steps: int, folder: Path) -> dict[str, int]:
    """Live one life; see :meth:`Life.run`."""

    async def main() -> dict[str, int]:
        return await Life(seed, folder).run(steps)

    return asyncio.run(main())
