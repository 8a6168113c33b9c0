"""Make requests by hand, as ``qemu-io`` does, of a machine's drives and nodes.

What is asked of a drive goes the way of its device's requests: it is limited and counted, and an error may stop the
machine.  QEMU: requests by hand pass all that by.
"""

from weakref import WeakKeyDictionary

from qmpserver.block.backend import BlockBackend
from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.driver_api.permissions import READING, Permission, PermissionSet
from qmpserver.errors import QMPError
from qmpserver.io_commands.image import OpenImage
from qmpserver.io_commands.interpreter import run_line
from qmpserver.io_commands.session import Session, Voice
from qmpserver.io_commands.table import COMMANDS, Table
from qmpserver.machine.media.drive import Drive
from qmpserver.schema.model import Schema

_TABLE = Table(COMMANDS)
_WRITING = Permission.WRITE | Permission.RESIZE


class HandSession(Session):
    """Commands on one drive or node.

    Args:
        graph: What the image is part of.
        schema: What options it may have.
        image: What requests are made of.
        voice: What is said goes there.
    """

    def __init__(self, graph: Graph, schema: Schema, image: OpenImage, voice: Voice) -> None:
        super().__init__(graph, schema, voice)
        self.image = image
        self._before: PermissionSet | None = None

    async def prepare_to_write(self) -> None:
        """Hold what is needed to write to the image and to resize it, until `give_back`."""
        backend = self.opened.backend
        if self._before is not None:
            return
        held = backend.held
        async with self.graph.lock:
            # Who may not resize an image may yet write to it.
            try:
                await backend.hold(PermissionSet(held.used | _WRITING, held.shared))
            except QMPError:
                await backend.hold(PermissionSet(held.used | Permission.WRITE, held.shared))
        self._before = held

    async def give_back(self) -> None:
        """Hold again what was held before, unless requests are in flight still."""
        if self._before is None or self.has_requests:
            return
        before, self._before = self._before, None
        async with self.graph.lock:
            await self.opened.backend.hold(before)


class HandIo:
    """Requests by hand.

    Args:
        graph: Where the nodes are.
        schema: What options they may have.
    """

    def __init__(self, graph: Graph, schema: Schema) -> None:
        self._graph = graph
        self._schema = schema
        self._sessions: WeakKeyDictionary[Drive, HandSession] = WeakKeyDictionary()

    async def on_drive(self, drive: Drive, line: str, voice: Voice) -> None:
        """Carry out a command line on a drive; one whose request is held because of an error goes on by itself."""
        session = self._sessions.get(drive)
        if session is None:
            image = OpenImage(drive.backend, drive.requests)
            session = self._sessions[drive] = HandSession(self._graph, self._schema, image, voice)
        # Requests may be in flight still for whoever has asked before.
        session.voice = voice

        async def work() -> None:
            try:
                await run_line(_TABLE, session, line)
            finally:
                await session.give_back()

        await drive.requests.until_held(work())

    async def on_node(self, node: Node, line: str, voice: Voice) -> None:
        """Carry out a command line on a node, to the end of all its requests.

        Raises:
            NodeInUse: Other users do not let it be read.
        """
        backend = BlockBackend(self._graph)
        async with self._graph.lock:
            await backend.insert(node, READING)
        session = HandSession(self._graph, self._schema, OpenImage(backend, backend), voice)
        try:
            await run_line(_TABLE, session, line)
            await session.settle()
        finally:
            async with self._graph.lock:
                await backend.remove()
