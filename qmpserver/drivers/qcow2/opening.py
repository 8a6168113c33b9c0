"""Open an image: check it, load its tables, and make it fit for writing."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.opening import ChildSpec, ImageContext
from qmpserver.driver_api.permissions import ChildRole
from qmpserver.drivers.qcow2 import extensions as ext
from qmpserver.drivers.qcow2 import kinds
from qmpserver.drivers.qcow2.allocation import Allocator
from qmpserver.drivers.qcow2.bitmaps import Bitmaps
from qmpserver.drivers.qcow2.commit import Committer
from qmpserver.drivers.qcow2.crypt_method import check_format, check_pointer
from qmpserver.drivers.qcow2.entries import ENTRY_SIZE, OFFSET_MASK, REFBLOCK_MASK
from qmpserver.drivers.qcow2.header import (
    AUTOCLEAR_KEPT,
    HEADER_LENGTH,
    INCOMPAT_DATA_FILE,
    INCOMPAT_DIRTY,
    INCOMPAT_EXTENDED_L2,
    Header,
    check_backing_name,
    check_features,
    check_tables,
)  # fmt: skip
from qmpserver.drivers.qcow2.image import Image, read_padded
from qmpserver.drivers.qcow2.mapping import Mapper, RangeMapper
from qmpserver.drivers.qcow2.metadata import MetadataMap
from qmpserver.drivers.qcow2.refcounts import Refcounts
from qmpserver.drivers.qcow2.runtime import RuntimeOptions
from qmpserver.drivers.qcow2.snapshots import SnapshotTable, read_snapshots, valid_l1_tables
from qmpserver.drivers.qcow2.tables import L2Tables
from qmpserver.errors import QMPError

if TYPE_CHECKING:  # few images are resized, or encrypted
    from qmpserver.drivers.qcow2.encryption import Encryption
    from qmpserver.drivers.qcow2.resize import Resizer

DATA_FILE_SPEC = ChildSpec("data-file", ChildRole.DATA, required=False)


class OpenImage:
    """The parts of one open image."""

    def __init__(
        self,
        *,
        image: Image,
        snapshots: SnapshotTable,
        metadata: MetadataMap,
        refcounts: Refcounts,
        committer: Committer,
        mapper: RangeMapper,
        allocator: Allocator,
        bitmaps: Bitmaps,
    ) -> None:
        self.image = image
        self.snapshots = snapshots
        self.metadata = metadata
        self.refcounts = refcounts
        self.committer = committer
        self.mapper = mapper
        self.allocator = allocator
        self.bitmaps = bitmaps

    @property
    def tables(self) -> L2Tables:
        """The mapping tables."""
        return self.committer.tables

    @property
    def resizer(self) -> "Resizer":
        """What changing the size takes."""
        from qmpserver.drivers.qcow2.resize import Resizer  # noqa: PLC0415 - few images are resized

        return Resizer(self.image, self.refcounts, self.committer, self.metadata, self.mapper, self.allocator)


async def open_image(context: ImageContext, *, for_check: bool = False) -> OpenImage:
    """Open the image in the `file` child.

    Args:
        context: The engine.
        for_check: The image will only be checked: it may be corrupt, and is left as it is.

    Raises:
        QMPError: It is no qcow2 image, or needs what this driver does not do.
        OSError: It cannot be read, or not be made fit for writing.
    """
    child = context.child("file")
    if child is None:
        raise QMPError('A block device must be specified for "file"')
    header, extensions = await _read_header(child, read_only=context.read_only, for_check=for_check)
    runtime = RuntimeOptions.parse(context.options, header, discard=context.discard)
    image = Image(context, child, header, extensions, runtime)
    image.encryption = await _open_encryption(context, child, header, extensions)
    await _open_data_file(image)
    if image.encryption is not None:
        image.data = image.encryption.seen_through(image.data_file)
    if header.backing_offset:
        name = bytes(await image.read(header.backing_offset, header.backing_length))
        image.backing_name = ext.name_to_text(name) or None
    snapshots = await read_snapshots(image, for_check=for_check)
    metadata = MetadataMap(image)
    refcounts = Refcounts(image, metadata)
    committer = Committer(image, refcounts, metadata)
    bitmaps = Bitmaps(image, refcounts, committer, metadata)
    parts = OpenImage(
        image=image,
        snapshots=snapshots,
        metadata=metadata,
        refcounts=refcounts,
        committer=committer,
        mapper=_make_mapper(image, committer, metadata),
        allocator=_make_allocator(image, refcounts, committer, metadata),
        bitmaps=bitmaps,
    )
    image.when_broken = parts.tables.cached.clear
    await parts.tables.load()
    await refcounts.load()
    await bitmaps.load()
    if not context.read_only and not for_check:
        await make_writable(parts)
    return parts


async def _open_encryption(
    context: ImageContext, child: BlockChild, header: Header, extensions: list[ext.Extension]
) -> "Encryption | None":
    check_format(header, context.options.get("encrypt") or {})
    if not header.crypt_method:
        return None
    from qmpserver.drivers.qcow2.encryption import open_encryption  # noqa: PLC0415 - few images are encrypted

    return await open_encryption(context, child, header, extensions)


def _make_mapper(image: Image, committer: Committer, metadata: MetadataMap) -> RangeMapper:
    mapper: RangeMapper
    if image.has_subclusters:
        from qmpserver.drivers.qcow2.subclusters import SubclusterMapper  # noqa: PLC0415 - few have them

        mapper = SubclusterMapper(image, committer.tables, metadata)
    else:
        mapper = Mapper(image, committer.tables, metadata)
    if image.counts_by_guest:
        from qmpserver.drivers.qcow2.guest_counted import GuestCountedMapper  # noqa: PLC0415 - few are so old

        mapper = GuestCountedMapper(image, mapper)
    return mapper


def _make_allocator(
    image: Image, refcounts: Refcounts, committer: Committer, metadata: MetadataMap
) -> Allocator:
    if not image.has_subclusters:
        return Allocator(image, refcounts, committer, metadata)
    from qmpserver.drivers.qcow2.subcluster_allocation import SubclusterAllocator  # noqa: PLC0415 - few have them

    return SubclusterAllocator(image, refcounts, committer, metadata)


async def _open_data_file(image: Image) -> None:
    """Find the file that holds the guest's data: what the client gave, or else what the image names.

    Raises:
        QMPError: There is none, or it cannot be opened; with QEMU's text.
    """
    given = image.context.child("data-file")
    if not image.is_external:
        if given is not None:
            raise QMPError("'data-file' can only be set for images with an external data file")
        return
    name = ext.find_extension(image.extensions, ext.DATA_FILE)
    if given is None and name:
        given = await image.context.open_child(DATA_FILE_SPEC, ext.name_to_text(name))
    if given is None:
        raise QMPError("'data-file' is required for this image")
    image.data = image.data_file = given


async def _read_header(
    child: BlockChild, *, read_only: bool, for_check: bool = False
) -> tuple[Header, list[ext.Extension]]:
    header = Header.parse(bytes(await read_padded(child, 0, HEADER_LENGTH)))
    cluster = bytes(await read_padded(child, 0, header.cluster_size))
    extensions = ext.parse_extensions(cluster, header)
    check_features(header, ext.incompatible_names(extensions), read_only=read_only or for_check)
    check_pointer(header, extensions)
    check_tables(header, for_check=for_check)
    check_backing_name(header)
    return header, extensions


async def read_header_anew(image: Image) -> tuple[Header, list[ext.Extension]]:
    """Read the header from the file below, which may be another one since the image was opened.

    Raises:
        QMPError: It holds no image, or one that is laid out in another way.
    """
    header, extensions = await _read_header(image.child, read_only=True)
    if _layout(header) != _layout(image.header):
        raise QMPError("The new file holds an image of another kind")
    if image.encryption is not None:
        await image.encryption.check_same(image.child, extensions)
    return header, extensions


def _layout(header: Header) -> tuple[int, ...]:
    kinds_of_data = header.incompatible & (INCOMPAT_DATA_FILE | INCOMPAT_EXTENDED_L2)
    kinds_of_clusters = (header.crypt_method, header.compression_type, kinds_of_data)
    return (header.version, header.cluster_bits, header.size, header.refcount_order, *kinds_of_clusters)


async def make_writable(parts: OpenImage) -> None:
    """Prepare an image that is about to be written.

    Autoclear bits go first, where what they vouch for is not kept up here.  An image that was not closed
    cleanly gets its reference counts repaired.  Stored bitmaps say from now on that they may be out of date.

    Raises:
        OSError: It cannot be written.
    """
    image = parts.image
    await _note_structures(parts)
    if image.header.autoclear & ~AUTOCLEAR_KEPT:
        await image.update_header(autoclear=image.header.autoclear & AUTOCLEAR_KEPT)
        await image.child.flush()
    if image.is_dirty:
        from qmpserver.drivers.qcow2.consistency import repair_dirty  # noqa: PLC0415 - few are found so

        await repair_dirty(image)
        await reload(parts)
        await image.set_incompatible(image.header.incompatible & ~INCOMPAT_DIRTY)
    await parts.bitmaps.mark_in_use()
    image.writable = True


async def reload(parts: OpenImage) -> None:
    """Take note of what was done to the tables on disk.  Nothing is dirty, and nothing uses them."""
    parts.tables.cached.clear()
    await parts.tables.load()
    await parts.refcounts.load()
    parts.snapshots = await read_snapshots(parts.image, for_check=True)
    await _note_structures(parts)


async def _note_structures(parts: OpenImage) -> None:
    header, metadata = parts.image.header, parts.metadata
    cluster = header.cluster_size
    metadata.clear()
    metadata.add(0, cluster, kinds.HEADER)
    if header.l1_entries:
        metadata.add(header.l1_offset, header.l1_entries * ENTRY_SIZE, kinds.L1)
    for entry in _in_file(parts.tables.l1, OFFSET_MASK, parts.image.child.size):
        metadata.add(entry, cluster, kinds.L2)
    metadata.add(header.reftable_offset, header.reftable_clusters * cluster, kinds.REFTABLE)
    for entry in _in_file(parts.refcounts.table, REFBLOCK_MASK, parts.image.child.size):
        metadata.add(entry, cluster, kinds.REFBLOCK)
    if header.snapshot_count and parts.snapshots.length:
        metadata.add(header.snapshot_offset, parts.snapshots.length, kinds.SNAPSHOTS)
    for offset, length in valid_l1_tables(parts.image, parts.snapshots):
        if length:
            metadata.add(offset, length, kinds.INACTIVE_L1)
            await _note_inactive_l2(parts, offset, length)
    parts.bitmaps.note_structures()


async def _note_inactive_l2(parts: OpenImage, offset: int, length: int) -> None:
    """Note the L2 tables of a snapshot that are not in use; only asked for, because it takes reading."""
    image, metadata = parts.image, parts.metadata
    if kinds.INACTIVE_L2 not in image.runtime.guarded:
        return
    for entry in _in_file(await image.read_table(offset, length), OFFSET_MASK, image.child.size):
        if metadata.overlap(entry, image.cluster_size) is None:
            metadata.add(entry, image.cluster_size, kinds.INACTIVE_L2)


def _in_file(table: Iterable[int], mask: int, file_size: int) -> Iterator[int]:
    """Return the host offsets in a table; those past the end of the file are wrong and hold nothing."""
    return (entry & mask for entry in table if 0 < entry & mask < file_size)
