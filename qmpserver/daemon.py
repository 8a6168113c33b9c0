"""Hold what one server is made of: the engine, the jobs, the exports, the ways in, and the latest events."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from qmpserver.block.backend import BlockBackend
from qmpserver.block.graph import check_no_overlay, check_not_busy
from qmpserver.block.node import Node
from qmpserver.block.opener import Gate
from qmpserver.chardevs.store import ChardevStore
from qmpserver.clock import Clock
from qmpserver.driver_api.extras import SupportsDrain, SupportsHurry
from qmpserver.driver_api.surroundings import no_named_fds
from qmpserver.engine import Engine
from qmpserver.errors import NodeInUse, QMPError
from qmpserver.exports.nbd_service import NbdService
from qmpserver.exports.store import ExportStore
from qmpserver.jobs.block_job import BlockJob
from qmpserver.jobs.machine_state import NO_MACHINE, StateKeeper
from qmpserver.jobs.manager import JobManager, not_active
from qmpserver.journal import EventJournal
from qmpserver.monitor.commands import BoundCommand
from qmpserver.monitor.fds import FdSets
from qmpserver.qom.tree import Item
from qmpserver.qom.types import TYPES, TypeTable
from qmpserver.schema.model import Schema


class Daemon(Engine):
    """The parts of one server.

    Args:
        schema: What commands, events and types there are.
        clock: What everything tells the time by.
        gate: Asked before a file that an image names is opened; raises QMPError to refuse.

    Attributes:
        journal: The latest events.
        fd_sets: The descriptors that clients passed and put in sets.
        jobs: All jobs.
        exports: The nodes offered to others.
        nbd: The server of those that are offered over NBD.
        chardevs: The ways in that have a label.
        state_keeper: Who knows the state of the machine that images belong to.
        on_shutdown: Called with a ``ShutdownCause`` when the server is to end.
        commands: Every command, bound to this; the server's to fill in.
    """

    def __init__(self, schema: Schema, clock: Clock, gate: Gate | None = None) -> None:
        self.fd_sets = FdSets()
        super().__init__(lambda: schema, clock, gate, self.fd_sets.dup)
        self.journal = EventJournal(self.events)
        self.jobs = JobManager(self.events, clock)
        self.exports = ExportStore(self.graph, self.events)
        self.nbd = NbdService(clock)
        self.chardevs = ChardevStore(self.fd_sets.dup)
        self.state_keeper: StateKeeper = NO_MACHINE
        self.on_shutdown: Callable[[str], None] = lambda _cause: None
        self.commands: Mapping[str, BoundCommand] = {}
        self._parting: asyncio.Task[None] | None = None

    # Objects

    @property
    def object_types(self) -> TypeTable:
        """The types of objects that there are."""
        return TYPES

    def further_objects(self) -> Mapping[str, Item]:
        """Return what lies at the top of the tree of objects beside what any server has, by name."""
        return {}

    # Nodes

    async def blockdev_add(
        self, options: dict[str, Any], claim_fd: Callable[[str], int] = no_named_fds
    ) -> Node:
        """Open a node with everything below it.

        Args:
            options: Checked ``BlockdevOptions``.
            claim_fd: Hands over descriptors by the names that the client gave them.

        Raises:
            QMPError: It cannot be opened; nothing remains of the attempt.
        """
        async with self.graph.lock:
            self.claim_fd = claim_fd
            try:
                return await self.opener.open(options)
            finally:
                self.claim_fd = no_named_fds

    async def blockdev_del(self, node_name: str) -> None:
        """Close a node that a client added, and what only it used.

        Raises:
            QMPError: There is no such node, it is in use, or no client added it.
        """
        async with self.graph.lock:
            node = self.graph.get(node_name)
            if node is None:
                raise QMPError(
                    f"Failed to find node with node-name='{node_name}'", code="not-found", node=node_name
                )
            if any(isinstance(edge.parent, BlockBackend) for edge in node.parents):
                raise NodeInUse(f"Node {node_name} is in use", node=node_name)
            check_not_busy(node)
            check_no_overlay(node)
            if not node.is_monitor_owned:
                raise QMPError(f"Node {node_name} is not owned by the monitor")
            if node.parents:
                raise NodeInUse(f"Block device {node_name} is in use", node=node_name)
            node.is_monitor_owned = False
            await self.collect(node)

    # Jobs

    def find_block_job(self, job_id: str) -> BlockJob:
        """Return the block job called `job_id`.

        Raises:
            DeviceNotActive: There is none.
        """
        job = self.jobs.get(job_id)
        if not isinstance(job, BlockJob):
            raise not_active(job_id)
        return job

    # Devices

    async def block_info(self, *, flat: bool) -> list[dict[str, Any]]:
        """Shape every device as ``BlockInfo``; a server without a machine has none."""
        del flat
        return []

    def blockstats(self) -> list[dict[str, Any]]:
        """Shape what is counted of every device as ``BlockStats``; a server without a machine has none."""
        return []

    # The end

    def shut_down(self, cause: str) -> None:
        """End the server in good order.

        Args:
            cause: A ``ShutdownCause``: `host-signal`, `host-qmp-quit`.
        """
        self.on_shutdown(cause)

    def part_with_users(self) -> "asyncio.Task[None]":
        """Begin to take all exports away and to cancel all jobs, once for all; the task ends when they are gone."""
        if self._parting is None:
            self._parting = asyncio.get_running_loop().create_task(self._part())
        return self._parting

    async def _part(self) -> None:
        self.nbd.close()
        for node in self.graph:
            if isinstance(node.driver, SupportsDrain):
                # What is held back to keep to a speed would hold up the end, perhaps for days.
                node.driver.drain_begin()
            if isinstance(node.driver, SupportsHurry):
                node.driver.hurry_begin()
        await self.exports.remove_all()
        await self.jobs.cancel_all()

    async def close(self) -> None:
        """Cancel all jobs, then write back and close every image."""
        await self.part_with_users()
        # Also what has come since, if `quit` began it.
        await self._part()
        await super().close()
