"""Keep a machine's state in the image: it is mapped like guest data, behind the end of the disk.

Source: qcow2 specification, "Snapshots".
"""

import errno
import os
from array import array

from qmpserver.driver_api.mapping import MappingKind
from qmpserver.drivers.qcow2.compressed import read_compressed
from qmpserver.drivers.qcow2.entries import COMPRESSED, ENTRY_SIZE, OFFSET_MASK, ZERO
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.opening import OpenImage
from qmpserver.units import align_up


def vm_state_index(image: Image, size: int) -> int:
    """Return the first L1 entry that no part of a disk of that size needs."""
    return align_up(size, image.header.l2_reach) // image.header.l2_reach


async def read_tree(image: Image, l1: "array[int]", offset: int, into: memoryview) -> None:
    """Read what an L1 table that is not in use maps, machine state being never compressed.

    Raises:
        OSError: EIO when the tables are damaged.
    """
    reach, size = image.header.l2_reach, image.subcluster_size
    while into:
        index, within = offset // reach, offset % size
        part = into[: size - within]
        entry = l1[index] & OFFSET_MASK if index < len(l1) else 0
        host = await _find_subcluster(image, entry, offset % reach) if entry else None
        if host is None:
            part[:] = bytes(len(part))
        else:
            await image.data_at(offset, host + within).pread(host + within, part)
        offset, into = offset + len(part), into[len(part) :]


async def _find_subcluster(image: Image, table: int, offset: int) -> int | None:
    """Return the host offset of a subcluster, given an offset within an L2 table's reach; None if it is zero."""
    place = table + (offset >> image.cluster_bits) * ENTRY_SIZE * image.entry_words
    words = await image.read_table(place, ENTRY_SIZE * image.entry_words)
    entry, host = words[0], words[0] & OFFSET_MASK
    if entry & COMPRESSED or host & (image.cluster_size - 1):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    number = (offset & (image.cluster_size - 1)) // image.subcluster_size
    is_zero = not words[1] >> number & 1 if image.has_subclusters else bool(entry & ZERO)
    return None if is_zero or not host else host + number * image.subcluster_size


class VmState:
    """The machine's state in one open image.

    Args:
        parts: The image.
    """

    def __init__(self, parts: OpenImage) -> None:
        self._parts = parts

    @property
    def start(self) -> int:
        """The guest offset at which it begins."""
        image = self._parts.image
        return vm_state_index(image, image.header.size) * image.header.l2_reach

    async def write(self, offset: int, data: memoryview) -> None:
        """Store state at that byte offset.

        Raises:
            QMPError: The format cannot map so much.
            OSError: There is no room, or it cannot be written.
        """
        parts = self._parts
        await parts.image.event("vmstate_save")
        reach = parts.image.header.l2_reach
        start, end = self.start + offset, self.start + offset + len(data)
        entries = align_up(end, reach) // reach
        if entries > len(parts.tables.l1):
            await parts.resizer.grow_l1(entries)
        while start < end:
            done = await self._write_some(start, data)
            start, data = start + done, data[done:]

    async def _write_some(self, offset: int, data: memoryview) -> int:
        parts = self._parts
        mapping = await parts.mapper.map(offset, len(data))
        if mapping.in_place:
            assert mapping.child is not None
            await mapping.child.pwrite(mapping.offset, data[: mapping.length])
            return mapping.length
        room = await parts.allocator.allocate(offset, mapping.length)
        try:
            whole = bytearray(room.length)
            within = offset - room.offset
            done = min(room.length - within, mapping.length)
            with memoryview(whole) as view:
                await self._read(room.offset, view)
                view[within : within + done] = data[:done]
                await room.child.pwrite(room.host_offset, view)
        except BaseException:
            await parts.allocator.release(room)
            raise
        await parts.allocator.link(room)
        return done

    async def read(self, offset: int, into: memoryview) -> None:
        """Read state from that byte offset; what was never written reads as zeroes."""
        await self._parts.image.event("vmstate_load")
        await self._read(self.start + offset, into)

    async def _read(self, offset: int, into: memoryview) -> None:
        parts = self._parts
        mapped = len(parts.tables.l1) * parts.image.header.l2_reach
        inside = into[: max(mapped - offset, 0)]
        into[len(inside) :] = bytes(len(into) - len(inside))
        while inside:
            mapping = await parts.mapper.map(offset, len(inside))
            part = inside[: mapping.length]
            if mapping.kind is MappingKind.SPECIAL:
                await read_compressed(parts.image, parts.tables, offset, part)
            elif mapping.kind is MappingKind.DATA:
                assert mapping.child is not None
                await mapping.child.pread(mapping.offset, part)
            else:
                part[:] = bytes(len(part))
            offset, inside = offset + mapping.length, inside[mapping.length :]
