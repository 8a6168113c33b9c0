"""Hold what opens images: the graph, the drivers, the objects they need, and what happens to them.

Here the engine and the drivers meet, through the registry; everything above works on an
:class:`Engine` and everything below has never heard of it.  Tools that run no server need no more.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qmpserver import threads
from qmpserver.block import filenames
from qmpserver.block.backend import BlockBackend
from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.block.opener import Gate, Opener, no_fd_sets
from qmpserver.block.opening import DuplicateFd
from qmpserver.clock import Clock
from qmpserver.driver_api.extras import SupportsCreate
from qmpserver.driver_api.permissions import Permission, PermissionSet
from qmpserver.driver_api.registry import DriverRegistry
from qmpserver.driver_api.surroundings import Surroundings, no_named_fds
from qmpserver.errors import QMPError, error_text
from qmpserver.events import EventBus
from qmpserver.log import get_logger
from qmpserver.objects import ObjectStore

if TYPE_CHECKING:  # a tool may never want it
    from qmpserver.schema.model import Schema

DRIVERS = {
    "file": "qmpserver.drivers.file.driver:FileDriver",
    "host_device": "qmpserver.drivers.host_device.driver:HostDeviceDriver",
    "host_cdrom": "qmpserver.drivers.host_device.cdrom:HostCdromDriver",
    "nbd": "qmpserver.drivers.nbd.driver:NbdDriver",
    "null-aio": "qmpserver.drivers.null:NullAioDriver",
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

MAGICS = {"qcow2": b"QFI\xfb", "luks": b"LUKS"}
"""What the images of those of them begin with that know their own."""

_WHILE_CREATING = Permission.CONSISTENT_READ | Permission.WRITE | Permission.RESIZE

_log = get_logger("daemon")


class Engine:
    """The graph and what images are opened with.

    Args:
        load_schema: Finds out what drivers and objects there are, when that is first wanted.
        clock: What everything tells the time by.
        gate: Asked before a file that an image names is opened; raises QMPError to refuse.
        duplicate_fd: Supplies what ``/dev/fdset/N`` stands for.

    Attributes:
        clock: As given.
        events: Where everything reports.
        graph: All nodes.
        registry: All drivers.
        opener: Opens images into the graph.
        claim_fd: Whose named descriptors are meant.  Whoever changes it holds the graph's lock, and changes it back.
        objects: All user-created objects.
    """

    def __init__(
        self,
        load_schema: "Callable[[], Schema]",
        clock: Clock,
        gate: Gate | None = None,
        duplicate_fd: DuplicateFd | None = None,
    ) -> None:
        self._load_schema = load_schema
        self.clock = clock
        self.events = EventBus(clock)
        self.claim_fd: Callable[[str], int] = no_named_fds
        self.graph = Graph()
        self.objects = ObjectStore(clock)
        self.registry = DriverRegistry(DRIVERS, MAGICS)
        self.opener = Opener(
            self.graph,
            self.registry,
            self._check_options,
            self._report_corruption,
            duplicate_fd=duplicate_fd or no_fd_sets,
            gate=gate or (lambda _filename: None),
            surroundings=Surroundings(
                clock=clock,
                secret=self.objects.secret,
                throttle_group=self.objects.throttle_group,
                tls_client=lambda name: self.objects.credentials(name, is_server=False).context(),
                claim_fd=self._claim_fd,
                emit=self.events.emit,
            ),
        )

    @cached_property
    def schema(self) -> "Schema":
        """What drivers and objects there are."""
        return self._load_schema()

    def _check_options(self, options: dict[str, Any]) -> dict[str, Any]:
        checked: dict[str, Any] = self.schema.type("BlockdevOptions").from_image(options)
        return checked

    def _claim_fd(self, name: str) -> int:
        return self.claim_fd(name)

    def _report_corruption(
        self, node_name: str, message: str, offset: int | None, length: int | None, fatal: bool
    ) -> None:
        node = self.graph.get(node_name)
        device = self.graph.devices.name_of(node) if node is not None else ""
        data: dict[str, Any] = {"device": device, "node-name": node_name, "msg": message, "fatal": fatal}
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
            file = await self.opener.open_unowned(filenames.path_options(filename))
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

    async def close(self) -> None:
        """Write back and close every image."""
        async with self.graph.lock:
            for node in self.graph:
                node.is_monitor_owned = False
            for node in self.graph:
                if not node.parents:
                    await self.collect(node)

    async def collect(self, node: Node) -> None:
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
