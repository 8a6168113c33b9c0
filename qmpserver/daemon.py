"""Hold what one server is made of: the engine, the jobs, the exports, the ways in, and the latest events."""

from collections.abc import Callable
from typing import Any

from qmpserver.block.backend import BlockBackend
from qmpserver.block.graph import check_no_overlay, check_not_busy
from qmpserver.block.node import Node
from qmpserver.block.opener import Gate
from qmpserver.chardevs.store import ChardevStore
from qmpserver.clock import Clock
from qmpserver.driver_api.extras import SupportsDrain
from qmpserver.engine import Engine
from qmpserver.errors import NodeInUse, QMPError
from qmpserver.exports.nbd_service import NbdService
from qmpserver.exports.store import ExportStore
from qmpserver.jobs.block_job import BlockJob
from qmpserver.jobs.manager import JobManager, not_active
from qmpserver.journal import EventJournal
from qmpserver.monitor.fds import FdSets
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
    """

    def __init__(self, schema: Schema, clock: Clock, gate: Gate | None = None) -> None:
        self.fd_sets = FdSets()
        super().__init__(schema, clock, gate, self.fd_sets.dup)
        self.journal = EventJournal(self.events)
        self.jobs = JobManager(self.events, clock)
        self.exports = ExportStore(self.graph, self.events)
        self.nbd = NbdService(clock)
        self.chardevs = ChardevStore()
        self.on_shutdown: Callable[[str], None] = lambda _cause: None

    # Nodes

    async def blockdev_add(self, options: dict[str, Any]) -> Node:
        """Open a node with everything below it.

        Raises:
            QMPError: It cannot be opened; nothing remains of the attempt.
        """
        async with self.graph.lock:
            return await self.opener.open(options)

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

    # The end

    async def close(self) -> None:
        """Cancel all jobs, then write back and close every image."""
        self.nbd.close()
        for node in self.graph:
            if isinstance(node.driver, SupportsDrain):
                # What is held back to keep to a speed would hold up the end, perhaps for days.
                node.driver.drain_begin()
        await self.exports.remove_all()
        await self.jobs.cancel_all()
        await super().close()
