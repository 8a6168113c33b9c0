"""Keep a machine's state in the image: it is mapped like guest data, behind the end of the disk.

Source: qcow2 specification, "Snapshots".
"""

from qmpserver.driver_api.mapping import MappingKind
from qmpserver.drivers.qcow2.compressed import read_compressed
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.opening import OpenImage
from qmpserver.units import align_up


def vm_state_index(image: Image) -> int:
    """Return the first L1 entry that no part of the disk needs."""
    return align_up(image.header.size, image.header.l2_reach) // image.header.l2_reach


class VmState:
    """The machine's state in one open image.

    Args:
        parts: The image.
    """

    def __init__(self, parts: OpenImage) -> None:
        self._parts = parts

    @property
    def _start(self) -> int:
        return vm_state_index(self._parts.image) * self._parts.image.header.l2_reach

    async def write(self, offset: int, data: memoryview) -> None:
        """Store state at that byte offset.

        Raises:
            QMPError: The format cannot map so much.
            OSError: There is no room, or it cannot be written.
        """
        parts = self._parts
        reach = parts.image.header.l2_reach
        start, end = self._start + offset, self._start + offset + len(data)
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
        await self._read(self._start + offset, into)

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
            elif mapping.child is not None:
                await mapping.child.pread(mapping.offset, part)
            else:
                part[:] = bytes(len(part))
            offset, inside = offset + mapping.length, inside[mapping.length :]
