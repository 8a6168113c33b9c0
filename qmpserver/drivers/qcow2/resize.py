"""Change the size that an image presents.

Source: qcow2 specification, "Header" (size, l1_size, l1_table_offset).
"""

import contextlib
import errno
import os
from array import array
from dataclasses import dataclass

from qmpserver.driver_api import flags
from qmpserver.driver_api.mapping import MappingKind
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.drivers.qcow2 import kinds
from qmpserver.drivers.qcow2.allocation import Allocator
from qmpserver.drivers.qcow2.commit import Committer
from qmpserver.drivers.qcow2.compressed import read_compressed
from qmpserver.drivers.qcow2.entries import ENTRY_SIZE
from qmpserver.drivers.qcow2.header import MAX_L1_BYTES
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.mapping import RangeMapper
from qmpserver.drivers.qcow2.metadata import MetadataMap
from qmpserver.drivers.qcow2.preallocation import map_range
from qmpserver.drivers.qcow2.refcounts import Refcounts
from qmpserver.errors import QMPError
from qmpserver.units import SECTOR_SIZE, align_up


@dataclass(slots=True)
class Resizer:
    """What changing the size of one image takes."""

    image: Image
    refcounts: Refcounts
    committer: Committer
    metadata: MetadataMap
    mapper: RangeMapper
    allocator: Allocator

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Set the size in bytes; what is new reads as zeroes.  The node is drained.

        Raises:
            QMPError: The format cannot have this size.
            OSError: Something could not be written; the old size stands.
        """
        self.image.check_sound()
        old = self.image.header.size
        if size % SECTOR_SIZE:
            raise QMPError("The new size must be a multiple of 512")
        if self.image.header.snapshot_count and self.image.header.version < 3:
            raise QMPError("Can't resize a v2 image which has snapshots")
        if size < old:
            if preallocation is not Preallocation.OFF:
                raise QMPError("Preallocation can't be used for shrinking an image")
            await self._shrink(size)
        elif size > old:
            await self._grow(old, size, preallocation)

    async def _shrink(self, size: int) -> None:
        """Present less, and only then give up what lies beyond."""
        old = self.image.header.size
        await self.committer.flush()
        await self.image.update_header(size=size)
        await self.image.child.flush()
        start = align_up(size, self.image.cluster_size)
        if start < old:
            await self.allocator.clear(start, old - start, discard=True)
        await self.committer.flush()
        if self.image.is_external:
            await self.image.data_file.truncate(size)
        await self._cut_file()

    async def _cut_file(self) -> None:
        """Give back what the file has after all that is in use."""
        end = await self.refcounts.end_of_used() << self.image.cluster_bits
        if end < self.image.child.size:
            # QEMU: that it cannot be done costs space only.
            with contextlib.suppress(OSError):
                await self.image.child.truncate(end)

    async def _grow(self, old: int, size: int, preallocation: Preallocation) -> None:
        """Make everything beyond the old end read as zeroes, and only then present more."""
        image, start = self.image, align_up(old, self.image.cluster_size)
        entries = align_up(size, image.header.l2_reach) // image.header.l2_reach
        if entries > len(self.committer.tables.l1):
            await self.grow_l1(entries)
        await self._clear_beyond(start)
        if image.is_external:
            await self._grow_data_file(old, size, preallocation)
        # After the file: what it is zeroed with is not what a cipher stores for zeroes.
        await self._clean_tail(old)
        await self._hide_backing(start, size)
        if preallocation is not Preallocation.OFF or image.is_external_raw:
            await map_range(image, self.allocator, start, size, preallocation)
        await self.committer.flush()
        await image.update_header(size=size)
        await image.child.flush()

    async def _clear_beyond(self, end: int) -> None:
        """Drop what is mapped past the end: a machine's state, or what an interrupted change has left."""
        await self.allocator.clear(end, len(self.committer.tables.l1) * self.image.header.l2_reach - end)

    async def _grow_data_file(self, old: int, size: int, preallocation: Preallocation) -> None:
        """Make the external data file long enough; where it is longer already, it stays so."""
        image, data = self.image, self.image.data_file
        if not image.is_external_raw and data.size > old:
            # QEMU: it shows what the file holds there.
            await data.pwrite_zeroes(old, min(size, data.size) - old, flags.MAY_UNMAP)
        if data.size < size:
            is_metadata = preallocation is Preallocation.METADATA
            await data.truncate(size, Preallocation.OFF if is_metadata else preallocation)

    async def grow_l1(self, entries: int) -> None:
        """Copy the L1 table to where there is more room, then make the header lead there."""
        image, tables = self.image, self.committer.tables
        if entries * ENTRY_SIZE > MAX_L1_BYTES:
            raise QMPError(f"Failed to grow the L1 table: {os.strerror(errno.EFBIG)}")
        clusters = align_up(entries * ENTRY_SIZE, image.cluster_size) // image.cluster_size
        await image.event("l1_grow_alloc_table")
        offset, _ = await self.refcounts.allocate(clusters, whole=True)
        await self.committer.flush()
        l1 = array("Q", bytes(entries * ENTRY_SIZE))
        l1[: len(tables.l1)] = tables.l1
        on_disk = array("Q", l1)
        on_disk.byteswap()
        await image.event("l1_grow_write_table")
        await image.write(offset, on_disk.tobytes().ljust(clusters * image.cluster_size, b"\0"))
        await image.child.flush()
        await image.event("l1_grow_activate_table")
        old = image.header
        await image.update_header(l1_offset=offset, l1_entries=entries)
        await image.child.flush()
        self.metadata.add(offset, clusters * image.cluster_size, kinds.L1)
        tables.l1[:] = l1
        old_clusters = align_up(old.l1_entries * ENTRY_SIZE, image.cluster_size) // image.cluster_size
        if old_clusters:
            self.metadata.remove(old.l1_offset, old_clusters * image.cluster_size)
            discard = image.runtime.discard_other
            await self.refcounts.release(old.l1_offset, old_clusters, discard=discard)

    async def _clean_tail(self, old: int) -> None:
        """Zero what the last cluster holds beyond the old end."""
        position, end = old, align_up(old, self.image.cluster_size)
        backing = self.image.context.child("backing")
        while position < end:
            mapping = await self.mapper.map(position, end - position)
            shows_backing = backing is not None and backing.size > position
            if mapping.in_place:
                assert mapping.child is not None
                await mapping.child.pwrite(mapping.offset, memoryview(bytes(mapping.length)))
                position += mapping.length
            elif mapping.kind is MappingKind.ZERO or (
                mapping.kind is MappingKind.BACKING and not shows_backing
            ):
                position += mapping.length
            else:
                position = await self._replace_tail(position, end, old)

    async def _replace_tail(self, position: int, end: int, old: int) -> int:
        """Copy a part of the last cluster, without what lies beyond the old end; return where it ends."""
        allocation = await self.allocator.allocate(position, end - position)
        room = bytearray(allocation.length)
        with memoryview(room) as view:
            await self._read_old(allocation.offset, view[: max(old - allocation.offset, 0)])
        await allocation.child.pwrite(allocation.host_offset, memoryview(room))
        await self.allocator.link(allocation)
        return allocation.offset + allocation.length

    async def _read_old(self, offset: int, into: memoryview) -> None:
        backing = self.image.context.child("backing")
        while into:
            mapping = await self.mapper.map(offset, len(into))
            part = into[: mapping.length]
            if mapping.kind is MappingKind.SPECIAL:
                await read_compressed(self.image, self.committer.tables, offset, part)
            elif mapping.kind is MappingKind.DATA:
                assert mapping.child is not None
                await mapping.child.pread(mapping.offset, part)
            elif mapping.kind is MappingKind.BACKING and backing is not None:
                await backing.pread(offset, part)
            offset += mapping.length
            into = into[mapping.length :]

    async def _hide_backing(self, start: int, size: int) -> None:
        """Keep a backing file that is longer than this image from showing through."""
        backing = self.image.context.child("backing")
        if backing is None or backing.size <= start:
            return
        end = min(size, align_up(backing.size, self.image.cluster_size))
        if start >= end:
            return
        if self.image.header.version < 3:
            raise QMPError(f"Failed to zero out new clusters: {os.strerror(errno.ENOTSUP)}")
        await self.allocator.zero(start, end - start, may_unmap=False)
