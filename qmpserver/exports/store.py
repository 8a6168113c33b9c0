"""Hold all exports by id, and tell when one is gone."""

from collections.abc import Iterator

from qmpserver.block.graph import Graph, is_well_formed
from qmpserver.errors import QMPError
from qmpserver.events import EventBus
from qmpserver.exports.export import BlockExport


class ExportStore:
    """All exports, by id.

    Args:
        graph: What their nodes are in.
        events: Where their end is told.
    """

    def __init__(self, graph: Graph, events: EventBus) -> None:
        self._graph = graph
        self._events = events
        self._exports: dict[str, BlockExport] = {}

    def __iter__(self) -> Iterator[BlockExport]:
        """Go through the exports, newest first, as QEMU lists them."""
        return reversed(tuple(self._exports.values()))

    def check_new_id(self, export_id: str) -> None:
        """Refuse an id that is malformed or taken.

        Raises:
            QMPError: With QEMU's text.
        """
        if not is_well_formed(export_id):
            raise QMPError("Invalid block export id")
        if export_id in self._exports:
            raise QMPError(
                f"Block export id '{export_id}' is already in use", code="exists", export=export_id
            )

    def add(self, export: BlockExport) -> None:
        """Take in an export that is open."""
        self._exports[export.export_id] = export

    def find(self, export_id: str) -> BlockExport:
        """Return the export of that id.

        Raises:
            QMPError: There is none.
        """
        export = self._exports.get(export_id)
        if export is None:
            raise QMPError(f"Export '{export_id}' is not found", code="not-found", export=export_id)
        return export

    async def remove(self, export: BlockExport, *, hard: bool) -> None:
        """Take an export away.

        Args:
            export: Which.
            hard: Clients who use it are parted with; if not, they keep it from going.

        Raises:
            QMPError: It is in use, or about to go already.
        """
        if export.is_shutting_down:
            raise QMPError(f"Export '{export.export_id}' is already shutting down")
        if export.has_clients and not hard:
            raise QMPError(
                f"export '{export.export_id}' still in use", code="in-use", export=export.export_id
            )
        await self._end(export)

    async def remove_all(self, kind: type[BlockExport] = BlockExport) -> None:
        """Take all exports of one kind away, and part with their clients."""
        for export in self:
            if isinstance(export, kind) and not export.is_shutting_down:
                await self._end(export)

    async def _end(self, export: BlockExport) -> None:
        export.is_shutting_down = True
        export.on_end()
        # Before the graph is locked: what clients asked for last may take as long as it wants.
        await export.shut_down()
        async with self._graph.lock:
            await export.close()
        self._exports.pop(export.export_id, None)
        self._events.emit("BLOCK_EXPORT_DELETED", {"id": export.export_id})
