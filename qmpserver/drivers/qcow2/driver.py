"""The qcow2 driver: what the engine sees of this package."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from qmpserver.driver_api.bitmaps import BitRow, StoredBitmap
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.driver import MappingDriver
from qmpserver.driver_api.extras import CheckMode, SnapshotInfo
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.mapping import Allocation, Mapping
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import IMAGE
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.secrets import SecretSource, no_secrets
from qmpserver.drivers.qcow2 import extensions as ext
from qmpserver.drivers.qcow2 import opening
from qmpserver.drivers.qcow2.allocation import ClusterAllocation
from qmpserver.drivers.qcow2.bitmap_directory import AUTO, IN_USE
from qmpserver.drivers.qcow2.cleaning import CacheCleaner
from qmpserver.drivers.qcow2.crypt_method import check_format
from qmpserver.drivers.qcow2.header import COMPRESSION_TYPES, MAGIC, Header
from qmpserver.drivers.qcow2.runtime import CHANGEABLE, RuntimeOptions
from qmpserver.errors import QMPError
from qmpserver.units import SECTOR_SIZE

if TYPE_CHECKING:  # what a short look at an image does not need is imported when it is asked for
    from qmpserver.driver_api.check_result import CheckResult
    from qmpserver.driver_api.measuring import Contents, Measurement
    from qmpserver.drivers.qcow2.snapshot_actions import SnapshotActions
    from qmpserver.drivers.qcow2.snapshot_vm_state import VmState


class Qcow2Driver(MappingDriver):
    """One open qcow2 image.

    Args:
        parts: The opened image.
    """

    format_name: ClassVar[str] = "qcow2"
    works_in_place: ClassVar[bool] = True
    supports_backing: ClassVar[bool] = True
    changeable_options: ClassVar[frozenset[str]] = CHANGEABLE | {"encrypt"}
    lasting_options: ClassVar[frozenset[str]] = frozenset(("encrypt",))
    strong_options: ClassVar[tuple[str, ...]] = ("encrypt.key-secret",)
    child_specs: ClassVar[tuple[ChildSpec, ...]] = (ChildSpec("file", IMAGE), opening.DATA_FILE_SPEC)

    def __init__(self, parts: "opening.OpenImage") -> None:
        self._image = parts.image
        self._parts = parts
        self._mapper = parts.mapper
        self._has_unwritten_data: bool | None = None
        self._allocator = parts.allocator
        self._cleaner = CacheCleaner(parts.tables, parts.refcounts, parts.image.runtime.clean_interval)
        self._cleaner.start()
        self._next_key_secret: str | None = None
        self._reopened: tuple[bool, RuntimeOptions, Header, list[ext.Extension]] | None = None

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open an image; see :meth:`BlockDriver.open`."""
        return cls(await opening.open_image(context))

    @classmethod
    async def open_for_check(cls, context: OpenContext) -> Self:
        """Open an image only to be checked; see :class:`SupportsCheck`."""
        return cls(await opening.open_image(context, for_check=True))

    @classmethod
    def probe(cls, head: bytes, filename: str) -> int:
        """Recognise the magic and a version that there is."""
        del filename
        is_qcow2 = head[:4] == MAGIC and int.from_bytes(head[4:8], "big") >= 2
        return 100 if is_qcow2 else 0

    @classmethod
    async def create(
        cls, file: BlockChild, options: dict[str, Any], secrets: SecretSource = no_secrets
    ) -> None:
        """Make an empty image; see :class:`SupportsCreate`."""
        from qmpserver.drivers.qcow2.create import create_image  # noqa: PLC0415 - see the module
        from qmpserver.drivers.qcow2.create_options import CreateOptions  # noqa: PLC0415 - see the module

        await create_image(file, CreateOptions.parse(options), secrets)

    @classmethod
    async def measure(
        cls, options: dict[str, Any], contents: "Contents | None", secrets: SecretSource = no_secrets
    ) -> "Measurement":
        """Say how large an image's file would be; see :class:`SupportsMeasure`."""
        from qmpserver.drivers.qcow2.measure import measure_image  # noqa: PLC0415 - few ask

        return await measure_image(options, contents, secrets)

    async def close(self) -> None:
        """Write back everything cached; see :meth:`BlockDriver.close`."""
        self._cleaner.stop()
        await self._parts.committer.close()

    @property
    def size(self) -> int:
        """The size presented, in bytes."""
        return self._image.header.size

    @property
    def cluster_size(self) -> int:
        """The allocation unit in bytes."""
        return self._image.cluster_size

    @property
    def subcluster_size(self) -> int:
        """The least that can be present by itself, in bytes."""
        return self._image.subcluster_size

    @property
    def supports_compressed_writes(self) -> bool:
        """Any image may hold compressed clusters; one with a data file refuses them when they come."""
        return True

    @property
    def limits(self) -> Limits:
        """Zeroing works on whole subclusters, discarding on whole clusters."""
        return Limits(
            request_alignment=1 if self._image.encryption is None else SECTOR_SIZE,
            pwrite_zeroes_alignment=self.subcluster_size,
            pdiscard_alignment=self.cluster_size,
        )

    @property
    def stores_plainly(self) -> bool:
        """Encrypted data is not what lies in the file."""
        return self._image.encryption is None

    @property
    def reads_zero_when_new(self) -> bool:
        """A new or grown image reads as zeroes, unless it presents a raw file that was there before."""
        return not self._image.is_external_raw

    def image_info(self) -> dict[str, Any]:
        """Return the driver's share of ``ImageInfo``."""
        header = self._image.header
        data: dict[str, Any] = {"compat": "0.10", "compression-type": "zlib", "refcount-bits": 16}
        if header.version == 3:
            data = {
                "compat": "1.1",
                "compression-type": COMPRESSION_TYPES[header.compression_type],
                "lazy-refcounts": self._image.lazy_refcounts,
                **self._bitmaps_info(),
                "refcount-bits": 1 << header.refcount_order,
                **self._data_file_info(),
                "corrupt": self._image.is_corrupt,
                "extended-l2": self._image.has_subclusters,
            }
        encryption = self._image.encryption
        if encryption is not None:
            data["encrypt"] = encryption.info()
        return {
            "cluster-size": self.cluster_size,
            "format-specific": {"type": "qcow2", "data": data},
            "dirty-flag": self._image.is_dirty,
            **({"encrypted": True} if encryption is not None else {}),
        }

    def _bitmaps_info(self) -> dict[str, Any]:
        shown = [
            {
                "name": ext.name_to_text(entry.name),
                "granularity": 1 << entry.granularity_bits,
                "flags": [name for bit, name in ((IN_USE, "in-use"), (AUTO, "auto")) if entry.flags & bit],
            }
            for entry in self._parts.bitmaps.entries
        ]
        return {"bitmaps": shown} if shown else {}

    def _data_file_info(self) -> dict[str, Any]:
        if not self._image.is_external:
            return {}
        name = ext.find_extension(self._image.extensions, ext.DATA_FILE)
        named = {"data-file": ext.name_to_text(name)} if name else {}
        return {**named, "data-file-raw": self._image.is_external_raw}

    async def map(self, offset: int, length: int) -> Mapping:
        """Say where the range begins; see :meth:`MappingDriver.map`."""
        return await self._mapper.map(offset, length)

    def map_at_once(self, offset: int, length: int) -> Mapping | None:
        """Say where plain clusters lie, side by side; see :meth:`MappingDriver.map_at_once`."""
        return self._mapper.map_at_once(offset, length)

    def room_at_once(self, offset: int, length: int) -> Allocation | None:
        """Return a new cluster for a small write; see :meth:`MappingDriver.room_at_once`."""
        return self._allocator.room_at_once(offset, length)

    def take_at_once(self, room: Allocation) -> None:
        """Make it what its range maps to; see :meth:`MappingDriver.take_at_once`."""
        assert isinstance(room, ClusterAllocation)
        self._allocator.take_at_once(room)

    def promise_place(self) -> Callable[[], object] | None:
        """Promise that no cluster is used for anything else; see :meth:`MappingDriver.promise_place`."""
        lending = self._image.lending
        return lending.end if lending.begin() else None

    async def map_runs(self, offset: int, length: int) -> Sequence[Mapping]:
        """Say where the range lives; see :meth:`MappingDriver.map_runs`."""
        return await self._mapper.map_runs(offset, length)

    async def has_unwritten_data(self) -> bool:
        """Say whether the file holds much less than is counted: room was set aside by metadata alone."""
        if self._has_unwritten_data is None:
            self._has_unwritten_data = await self._parts.refcounts.exceed_file()
        return self._has_unwritten_data

    async def allocate(self, offset: int, length: int) -> Allocation:
        """Reserve room for writing the range; see :meth:`MappingDriver.allocate`."""
        return await self._allocator.allocate(offset, length)

    async def link(self, allocation: Allocation) -> None:
        """Make reserved room what the range maps to; see :meth:`MappingDriver.link`."""
        assert isinstance(allocation, ClusterAllocation)
        await self._allocator.link(allocation)

    async def release(self, allocation: Allocation) -> None:
        """Give reserved room back; see :meth:`MappingDriver.release`."""
        assert isinstance(allocation, ClusterAllocation)
        await self._allocator.release(allocation)

    async def pread_special(self, offset: int, into: memoryview) -> None:
        """Read compressed clusters."""
        from qmpserver.drivers.qcow2.compressed import read_compressed  # noqa: PLC0415 - see the module

        await read_compressed(self._image, self._parts.tables, offset, into)

    async def write_compressed(self, offset: int, data: memoryview) -> bool:
        """Store one cluster compressed; see :meth:`MappingDriver.write_compressed`."""
        from qmpserver.drivers.qcow2.compressed import write_compressed  # noqa: PLC0415 - see the module

        return await write_compressed(self._image, self._allocator, offset, data)

    async def zero_clusters(self, offset: int, length: int, *, may_unmap: bool) -> None:
        """Make whole clusters zero by metadata; version 2 has no means for it."""
        await self._allocator.zero(offset, length, may_unmap=may_unmap)

    async def discard_clusters(self, offset: int, length: int) -> None:
        """Drop whole clusters; in version 3 they read as zeroes even over a backing file."""
        await self._allocator.discard(offset, length)

    async def flush(self) -> None:
        """Bring data and metadata to stable storage, in order."""
        if self._image.writable:
            await self._parts.committer.flush()

    async def check(self, fix: CheckMode, report: Callable[[str], object] | None = None) -> "CheckResult":
        """Check the image's structures; see :class:`SupportsCheck`."""
        from qmpserver.drivers.qcow2.check import check_image  # noqa: PLC0415 - see the module

        await self.flush()
        try:
            return await check_image(self._image, fix, report)
        finally:
            await opening.reload(self._parts)

    @property
    def can_hold_snapshots(self) -> bool:
        """An external data file has only the present state."""
        return not self._image.is_external

    @property
    def snapshots(self) -> tuple[SnapshotInfo, ...]:
        """The snapshots, in the order they were taken."""
        if not self._parts.snapshots.entries:
            return ()
        from qmpserver.drivers.qcow2.snapshot_actions import describe  # noqa: PLC0415 - see the module

        return tuple(map(describe, self._parts.snapshots.entries))

    @property
    def _snapshot_actions(self) -> "SnapshotActions":
        from qmpserver.drivers.qcow2.snapshot_actions import SnapshotActions  # noqa: PLC0415 - see the module

        return SnapshotActions(self._parts)

    async def create_snapshot(self, wanted: SnapshotInfo) -> SnapshotInfo:
        """Keep the present state; see :class:`SupportsSnapshots`."""
        await self.flush()
        await self._parts.committer.run_to_end(self._snapshot_actions.create(wanted))
        return self.snapshots[-1]

    async def apply_snapshot(self, snapshot_id: str | None, name: str | None) -> None:
        """Make a snapshot's state the present one; see :class:`SupportsSnapshots`."""
        await self.flush()
        await self._parts.committer.run_to_end(self._snapshot_actions.apply(snapshot_id, name))

    async def delete_snapshot(self, snapshot_id: str | None, name: str | None) -> None:
        """Forget a snapshot; see :class:`SupportsSnapshots`."""
        await self.flush()
        await self._parts.committer.run_to_end(self._snapshot_actions.delete(snapshot_id, name))

    async def load_snapshot(self, snapshot_id: str | None, name: str | None) -> None:
        """Show a snapshot's state until the image is closed; see :class:`SupportsSnapshots`."""
        await self._snapshot_actions.load(snapshot_id, name)

    @property
    def _vm_state(self) -> "VmState":
        from qmpserver.drivers.qcow2.snapshot_vm_state import VmState  # noqa: PLC0415 - see the module

        return VmState(self._parts)

    @property
    def vm_state_offset(self) -> int:
        """Where machine state begins; see :class:`SupportsVmState`."""
        return self._vm_state.start

    async def write_vm_state(self, offset: int, data: memoryview) -> None:
        """Store machine state; see :class:`SupportsSnapshots`."""
        await self._vm_state.write(offset, data)

    async def read_vm_state(self, offset: int, into: memoryview) -> None:
        """Read machine state; see :class:`SupportsSnapshots`."""
        await self._vm_state.read(offset, into)

    async def read_snapshot_vm_state(self, snapshot_id: str, offset: int, into: memoryview) -> None:
        """Read a snapshot's machine state where it lies; see :class:`SupportsSnapshots`."""
        await self._snapshot_actions.read_vm_state(snapshot_id, offset, into)

    async def amend(
        self, options: dict[str, Any], secrets: SecretSource = no_secrets, *, force: bool = False
    ) -> None:
        """Change options of the image; see :class:`SupportsAmend`."""
        from qmpserver.drivers.qcow2.amend import Amendment, amend_image  # noqa: PLC0415 - see the module
        from qmpserver.drivers.qcow2.amend_keyslots import amend_keyslots, parse_keyslots  # noqa: PLC0415 - as is this

        others = {name: value for name, value in options.items() if name != "encrypt"}
        wanted, keyslots = Amendment.parse(self._image, others), None
        if "encrypt" in options:
            keyslots = parse_keyslots(self._image, options["encrypt"], secrets)
        await self.flush()
        if keyslots is not None:
            await self._parts.committer.run_to_end(amend_keyslots(self._image, keyslots, force=force))
        await self._parts.committer.run_to_end(amend_image(self._parts, wanted))

    @property
    def can_hold_bitmaps(self) -> bool:
        """Whether the image can hold bitmaps: those of version 2 cannot."""
        return self._image.header.version >= 3

    @property
    def stored_bitmaps(self) -> tuple[StoredBitmap, ...]:
        """The bitmaps in the image, in order; see :class:`SupportsBitmaps`."""
        return self._parts.bitmaps.stored

    def check_new_bitmap(self, wanted: StoredBitmap, others: Sequence[str]) -> None:
        """Refuse a bitmap that cannot be stored; see :class:`SupportsBitmaps`."""
        self._parts.bitmaps.check_new(wanted, others)

    async def load_bitmap(self, name: str, bits: BitRow) -> None:
        """Read a bitmap; see :class:`SupportsBitmaps`."""
        await self._parts.bitmaps.read(name, bits)

    async def store_bitmaps(self, bitmaps: Sequence[tuple[StoredBitmap, BitRow]]) -> None:
        """Store bitmaps as no longer in use; see :class:`SupportsBitmaps`."""
        await self._parts.committer.run_to_end(self._parts.bitmaps.store(bitmaps))

    async def mark_bitmaps_in_use(self) -> None:
        """Have the bitmaps say that they may be out of date; see :class:`SupportsBitmaps`."""
        await self._parts.bitmaps.mark_in_use()

    async def remove_bitmap(self, name: str) -> None:
        """Remove a bitmap from the image; see :class:`SupportsBitmaps`."""
        await self._parts.committer.run_to_end(self._parts.bitmaps.remove(name))

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Set the size in bytes; see :meth:`BlockDriver.truncate`."""
        await self._parts.committer.run_to_end(self._parts.resizer.truncate(size, preallocation))

    async def make_empty(self) -> None:
        """Drop all guest data; see :class:`SupportsMakeEmpty`."""
        await self._image.event("empty_image_prepare")
        await self._allocator.clear(0, self.size)
        await self._parts.committer.flush()

    async def allocated_size(self) -> int | None:
        """Return the bytes that the files below occupy."""
        files = {id(file): file for file in (self._image.child, self._image.data_file)}.values()
        sizes = [await file.allocated_size() for file in files]
        known = [size for size in sizes if size is not None]
        return sum(known) if known else None

    @property
    def backing_filename(self) -> str | None:
        """The backing file's name as stored in the image."""
        return self._image.backing_name

    @property
    def backing_format(self) -> str | None:
        """The backing file's format as stored in the image."""
        stored = ext.find_extension(self._image.extensions, ext.BACKING_FORMAT)
        return ext.name_to_text(stored) if stored else None

    async def change_backing_file(self, filename: str | None, backing_format: str | None) -> None:
        """Store another backing file name, durably; see :class:`SupportsBackingFile`."""
        from qmpserver.drivers.qcow2.backing import store_backing_file  # noqa: PLC0415 - see the module

        committer = self._parts.committer
        await committer.flush()
        await committer.run_to_end(store_backing_file(self._image, filename, backing_format))

    async def prepare_reopen(self, *, read_only: bool, options: dict[str, Any]) -> None:
        """Check the options and that the image may be written, and write back what is dirty."""
        discard = options.get("discard") == "unmap" if "discard" in options else self._image.context.discard
        runtime = RuntimeOptions.parse(options, self._image.header, discard=discard)
        if self._image.writable:
            await self._parts.committer.settle()
        if not read_only and self._image.is_corrupt:
            raise QMPError("qcow2: Image is corrupt; cannot be opened read/write")
        encrypt = options.get("encrypt") or {}
        check_format(self._image.header, encrypt)
        self._next_key_secret = encrypt.get("key-secret")
        self._reopened = read_only, runtime, *await opening.read_header_anew(self._image)

    async def commit_reopen(self) -> None:
        """Enter the prepared state."""
        assert self._reopened is not None
        image = self._image
        old = image.runtime
        (read_only, runtime, image.header, image.extensions), self._reopened = self._reopened, None
        image.runtime = runtime
        if image.encryption is not None:
            # QEMU: the image stays open with the key it has; the new secret is for amending.
            image.encryption.key_secret = self._next_key_secret
        # The file below may be another one now.
        await opening.reload(self._parts)
        if runtime.clean_interval != old.clean_interval:
            self._cleaner.restart(runtime.clean_interval)
        if read_only:
            image.writable = False
        elif not image.writable:
            await opening.make_writable(self._parts)

    async def abort_reopen(self) -> None:
        """Forget the prepared state."""
        self._reopened = None
