"""Hold what one server is made of: the graph, the jobs, the objects, and the events they cause.

Here the engine and the drivers meet, through the registry; everything above works on a
:class:`Daemon` and everything below has never heard of it.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

from qmpserver import threads
from qmpserver.block.backend import BlockBackend
from qmpserver.block.graph import Graph, check_no_overlay, check_not_busy
from qmpserver.block.node import Node
from qmpserver.block.opener import Gate, Opener
from qmpserver.chardevs.store import ChardevStore
from qmpserver.clock import Clock
from qmpserver.driver_api.extras import SupportsCreate
from qmpserver.driver_api.permissions import Permission, PermissionSet
from qmpserver.driver_api.registry import DriverRegistry
from qmpserver.driver_api.surroundings import Surroundings
from qmpserver.errors import NodeInUse, QMPError, error_text
from qmpserver.events import EventBus
from qmpserver.exports.nbd_service import NbdService
from qmpserver.exports.store import ExportStore
from qmpserver.jobs.block_job import BlockJob
from qmpserver.jobs.manager import JobManager, not_active
from qmpserver.journal import EventJournal
from qmpserver.log import get_logger
from qmpserver.monitor.fds import FdSets
from qmpserver.objects import ObjectStore
from qmpserver.schema.model import Schema

DRIVERS = {
    "file": "qmpserver.drivers.file.driver:FileDriver",
    "nbd": "qmpserver.drivers.nbd.driver:NbdDriver",
    "null-co": "qmpserver.drivers.null:NullDriver",
    "raw": "qmpserver.drivers.raw:RawDriver",
    "qcow2": "qmpserver.drivers.qcow2.driver:Qcow2Driver",
    "luks": "qmpserver.drivers.luks:LuksDriver",
    "copy-on-read": "qmpserver.drivers.copy_on_read:CopyOnReadDriver",
    "copy-before-write": "qmpserver.drivers.copy_before_write:CopyBeforeWriteDriver",
    "snapshot-access": "qmpserver.drivers.snapshot_access:SnapshotAccessDriver",
    "throttle": "qmpserver.drivers.throttle:ThrottleDriver",
    "compress": "qmpserver.drivers.compress:CompressDriver",
    "preallocate": "qmpserver.drivers.preallocate:PreallocateDriver",
    "blkdebug": "qmpserver.drivers.blkdebug.driver:BlkdebugDriver",
    "blkverify": "qmpserver.drivers.blkverify:BlkverifyDriver",
    "blklogwrites": "qmpserver.drivers.blklogwrites:BlkLogWritesDriver",
    "quorum": "qmpserver.drivers.quorum.driver:QuorumDriver",
    "mirror_top": "qmpserver.drivers.mirror_top:MirrorTopDriver",
    "commit_top": "qmpserver.drivers.commit_top:CommitTopDriver",
}
"""Our own drivers, imported when first used."""

_WHILE_CREATING = Permission.CONSISTENT_READ | Permission.WRITE | Permission.RESIZE

_log = get_logger("daemon")


class Daemon:
    """The parts of one server.

    Args:
        schema: What commands, events and types there are.
        clock: What everything tells the time by.
        gate: Asked before a file that an image names is opened; raises QMPError to refuse.

    Attributes:
        schema: As given.
        events: Where everything reports.
        journal: The latest of it.
        graph: All nodes.
        fd_sets: The descriptors that clients passed and put in sets.
        opener: Opens images into the graph.
        jobs: All jobs.
        exports: The nodes offered to others.
        nbd: The server of those that are offered over NBD.
        chardevs: The ways in that have a label.
        objects: All user-created objects.
    """

    def __init__(self, schema: Schema, clock: Clock, gate: Gate | None = None) -> None:
        self.schema = schema
        self.clock = clock
        self.events = EventBus(clock)
        self.journal = EventJournal(self.events)
        self.graph = Graph()
        self.fd_sets = FdSets()
        self.objects = ObjectStore(clock)
        self.registry = DriverRegistry(DRIVERS)
        self.opener = Opener(
            self.graph,
            self.registry,
            schema.type("BlockdevOptions").from_image,
            self._report_corruption,
            duplicate_fd=self.fd_sets.dup,
            gate=gate or (lambda _filename: None),
            surroundings=Surroundings(
                clock=clock,
                secret=self.objects.secret,
                throttle_group=self.objects.throttle_group,
                tls_client=lambda name: self.objects.credentials(name, is_server=False).context(),
                emit=self.events.emit,
            ),
        )
        self.jobs = JobManager(self.events, clock)
        self.exports = ExportStore(self.graph, self.events)
        self.nbd = NbdService(clock)
        self.chardevs = ChardevStore()
        self.on_shutdown: Callable[[str], None] = lambda _cause: None

    def _report_corruption(
        self, node_name: str, message: str, offset: int | None, length: int | None, fatal: bool
    ) -> None:
        data: dict[str, Any] = {"device": "", "node-name": node_name, "msg": message, "fatal": fatal}
        if offset is not None:
            data["offset"] = offset
        if length is not None:
            data["size"] = length
        _log.warning("image corrupt", node_name=node_name, msg=message, offset=offset, fatal=fatal)
        self.events.emit("BLOCK_IMAGE_CORRUPTED", data)

    def load_third_party_drivers(self) -> bool:
        """Make the drivers of other installed packages known; say whether there are any new ones.

        Raises:
            QMPError: One of them does not describe its options.
        """
        names = self.registry.add_entry_points()
        for name in names:
            definition = self.registry.find(name).options_schema
            if definition is None:
                raise QMPError(f"Driver '{name}' does not describe its options")
            self.schema.add_branch("BlockdevOptions", name, definition)
        return bool(names)

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
            await self._collect(node)

    async def create_image(
        self, filename: str, image_format: str, options: dict[str, Any], *, is_locked: bool = False
    ) -> None:
        """Make a new image in a new or emptied file.

        Args:
            filename: The file.
            image_format: The format's driver.
            options: The format's ``BlockdevCreateOptions`` members.
            is_locked: The caller holds the graph's lock.

        Raises:
            QMPError: The format or an option cannot be had, or the file is in use; it is unchanged.
            OSError: The file cannot be written.
        """
        driver_class = self.registry.find(image_format)
        if not issubclass(driver_class, SupportsCreate):
            raise QMPError(f"Driver '{image_format}' does not support image creation")
        # The driver empties the file, once it is locked and the options have been found good.
        is_new = await threads.run(_make_file, filename)
        try:
            async with self._file_backend(filename, is_locked=is_locked) as backend:
                assert backend.root is not None
                await driver_class.create(backend.root, options, self.objects.secret)
                await backend.flush()
        except BaseException:
            if is_new:
                os.unlink(filename)
            raise

    @contextlib.asynccontextmanager
    async def _file_backend(self, filename: str, *, is_locked: bool) -> AsyncIterator[BlockBackend]:
        """Use a file that is no node of the graph's otherwise, alone."""
        backend = BlockBackend(self.graph)
        lock = contextlib.nullcontext() if is_locked else self.graph.lock
        async with lock:
            file = await self.opener.open_unowned({"driver": "file", "filename": filename})
            try:
                await backend.insert(file, PermissionSet(_WHILE_CREATING, Permission.CONSISTENT_READ))
            except BaseException:
                await self.graph.discard(file)
                raise
        try:
            yield backend
        finally:
            async with lock:
                await backend.remove()

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
        await self.exports.remove_all()
        await self.jobs.cancel_all()
        async with self.graph.lock:
            for node in self.graph:
                node.is_monitor_owned = False
            for node in self.graph:
                if not node.parents:
                    await self._collect(node)

    async def _collect(self, node: Node) -> None:
        """Close a node that nobody uses; QEMU too has no way to tell a client that it failed."""
        try:
            await self.graph.collect(node)
        except OSError as error:
            _log.error("image not closed cleanly", node_name=node.node_name, error=error_text(error))


def _make_file(filename: str) -> bool:
    """Make an empty file unless there is one already; say whether it is new."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        os.close(os.open(filename, flags | os.O_EXCL, 0o644))
    except FileExistsError:
        os.close(os.open(filename, flags, 0o644))
        return False
    return True
