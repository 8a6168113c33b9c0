"""Hold all exports by id, and tell when one is gone."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from qmpserver.block.graph import Graph, is_well_formed
from qmpserver.errors import QMPError, error_text
from qmpserver.events import EventBus
from qmpserver.exports.export import BlockExport
from qmpserver.log import get_logger

PATIENCE_S: Final = 1.0
"""How long a command waits for an export to be gone; one whose node does not answer goes later."""

_log = get_logger("exports")


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
        self._ending: dict[BlockExport, asyncio.Task[None]] = {}

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
        self.end_soon(export)
        await self._wait_for_end([export], PATIENCE_S)

    def end_soon(self, export: BlockExport) -> None:
        """Begin to take an export away; it is gone when its event comes."""
        if not export.is_shutting_down:
            export.is_shutting_down = True
            export.on_end()
            self._ending[export] = asyncio.get_running_loop().create_task(self._end(export))

    async def remove_all(
        self, kind: type[BlockExport] = BlockExport, *, patience_s: float | None = None
    ) -> None:
        """Take all exports of one kind away, and part with their clients.

        Args:
            kind: Which.
            patience_s: How long to wait for what clients asked for last; they end by themselves then.
        """
        ending = [export for export in self if isinstance(export, kind)]
        for export in ending:
            self.end_soon(export)
        await self._wait_for_end(ending, patience_s)

    async def _wait_for_end(self, exports: Iterable[BlockExport], patience_s: float | None) -> None:
        ends = [self._ending[export] for export in exports]
        if ends:
            await asyncio.wait(ends, timeout=patience_s)

    async def _end(self, export: BlockExport) -> None:
        # Before the graph is locked: what clients asked for last may take as long as it wants.
        await export.shut_down()
        try:
            async with self._graph.lock:
                await export.close()
        except OSError as error:
            _log.error("exported image not closed cleanly", export=export.export_id, error=error_text(error))
        del self._exports[export.export_id]
        del self._ending[export]
        self._events.emit("BLOCK_EXPORT_DELETED", {"id": export.export_id})
