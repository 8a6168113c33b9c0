"""Offer a node over NBD."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar, Protocol

from qmpserver.block.graph import Graph
from qmpserver.block.head_guard import GUARDED
from qmpserver.driver_api.permissions import PERM_ALL, Permission
from qmpserver.exports.export import BlockExport
from qmpserver.exports.nbd_contexts import AllocationContext, Context, DepthContext
from qmpserver.nbd.constants import TransmissionFlag
from qmpserver.nbd.export_info import ExportInfo
from qmpserver.units import KiB


class ExportClient(Protocol):
    """A client of an export, as the export sees it."""

    def close(self) -> None:
        """Break the connection."""


class NbdExport(BlockExport):
    """A node offered over NBD.

    Args:
        export_id: What it is called in QMP.
        graph: The graph the node is in.
        name: What clients ask for.
        description: A sentence for people; empty for none.
        writable: Clients may write.
        writethrough: What they write is on stable storage when they are told so.
        allows_inactive: The node may be inactive: it is read then, and writing fails.
        allocation_depth: Clients may ask which layer a range comes from.
    """

    export_type: ClassVar[str] = "nbd"
    shared: ClassVar[Permission] = PERM_ALL & ~Permission.RESIZE

    def __init__(
        self,
        export_id: str,
        graph: Graph,
        *,
        name: str,
        description: str = "",
        writable: bool = False,
        writethrough: bool = False,
        allows_inactive: bool = False,
        allocation_depth: bool = False,
    ) -> None:
        super().__init__(
            export_id,
            graph,
            writable=writable,
            writethrough=writethrough,
            allows_inactive=allows_inactive,
        )
        self.name = name
        self.description = description
        self.in_flight: set[asyncio.Task[object]] = set()
        self._clients: set[ExportClient] = set()
        self._contexts: list[Context] = [AllocationContext()]
        if allocation_depth:
            self._contexts.append(DepthContext())

    def add_contexts(self, contexts: Sequence[Context]) -> None:
        """Let clients ask for more."""
        self._contexts += contexts

    @property
    def info(self) -> ExportInfo:
        """What a handshake tells of it."""
        flags = TransmissionFlag.SEND_FLUSH | TransmissionFlag.SEND_FUA | TransmissionFlag.SEND_CACHE
        if self.writable:
            flags |= (
                TransmissionFlag.SEND_TRIM
                | TransmissionFlag.SEND_WRITE_ZEROES
                | TransmissionFlag.SEND_FAST_ZERO
            )
        else:
            flags |= TransmissionFlag.READ_ONLY
        # A flush here is one of the node, whichever connection asked for it.
        flags |= TransmissionFlag.CAN_MULTI_CONN
        node = self.backend.node
        # As in QEMU, the beginning of an image that was guessed to be raw is written in whole sectors.
        unit = GUARDED if node.head_guard is not None else 1
        minimum = max(node.driver.limits.request_alignment, unit)
        return ExportInfo(
            self.name,
            node.size,
            flags,
            self.description,
            minimum,
            max(minimum, 4 * KiB),
            contexts=tuple(context.name for context in self._contexts),
        )

    def contexts(self, names: Sequence[str]) -> dict[int, Context]:
        """Return the contexts of those names by the numbers that the handshake gave them."""
        known = {context.name: context for context in self._contexts}
        return {number: known[name] for number, name in enumerate(names, 1) if name in known}

    @property
    def has_clients(self) -> bool:
        """Whether a client has chosen it."""
        return bool(self._clients)

    def enter(self, client: ExportClient) -> None:
        """Take note of a client."""
        self._clients.add(client)

    def leave(self, client: ExportClient) -> None:
        """Take note that a client has gone."""
        self._clients.discard(client)

    async def shut_down(self) -> None:
        """Part with all clients, and let what they asked for last end."""
        for client in tuple(self._clients):
            client.close()
        if self.in_flight:
            await asyncio.wait(tuple(self.in_flight))

    async def close(self) -> None:
        """Stop using the node.  The graph is locked."""
        await super().close()
        for context in self._contexts:
            context.release()
