"""Map a guest range before anything is written to it.

Source: qcow2 specification, "Cluster mapping".
"""

from qmpserver.driver_api import flags
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.drivers.qcow2.allocation import Allocator, ClusterAllocation
from qmpserver.drivers.qcow2.image import Image
from qmpserver.errors import error_text
from qmpserver.units import MiB

_PIECE = 4 * MiB
"""Bytes of zeroes that are written at once."""


async def map_range(
    image: Image, allocator: Allocator, start: int, end: int, preallocation: Preallocation
) -> None:
    """Give every cluster of a guest range a place that reads as zeroes; the file is long enough for them.

    In an external data file every cluster has its place already; the caller sees to its content.

    Args:
        image: The image.
        allocator: Its allocator.
        start: Guest offset, a multiple of the cluster size.
        end: Where the range ends; the last cluster is mapped whole.
        preallocation: What is done where the clusters lie.

    Raises:
        OSError: A file cannot be written; some clusters may be mapped already.
    """
    file = image.child
    while start < end:
        room = await allocator.allocate(start, end - start)
        if not image.is_external:
            try:
                await _make_zero(file, room.host_offset, room.length, preallocation)
                if room.host_offset + room.length > file.size:
                    # Before it is linked: a table that is on disk must not lead past the end of the file.
                    await file.truncate(room.host_offset + room.length)
            except BaseException:
                await allocator.release(room)
                raise
        if image.encryption is not None and image.header.version < 3:
            # No marker hides that zeroes in the file decrypt to something else.
            await _write_zeroes(room)
        # A raw data file may hold something already, and what it holds is what is to be seen.
        await allocator.link(room, is_filled=image.is_external_raw and image.encryption is None)
        start += room.length


async def _write_zeroes(room: ClusterAllocation) -> None:
    zeroes = memoryview(bytes(min(room.length, _PIECE)))
    for start in range(0, room.length, _PIECE):
        await room.child.pwrite(room.host_offset + start, zeroes[: room.length - start])


async def _make_zero(file: BlockChild, offset: int, length: int, preallocation: Preallocation) -> None:
    """Make a host range zero in the way that is wanted; the file may end before or inside it."""
    end = offset + length
    if preallocation in {Preallocation.FALLOC, Preallocation.FULL} and end > file.size:
        old = file.size
        try:
            await file.truncate(end, preallocation)
        except OSError as error:
            text = error.strerror or error_text(error)
            raise OSError(error.errno, f"Failed to resize underlying file: {text}") from error
        length = old - offset
    else:
        # What lies past the end of the file is zero already.
        length = min(end, file.size) - offset
    if length <= 0:
        return
    if preallocation is Preallocation.FULL:
        zeroes = memoryview(bytes(min(length, _PIECE)))
        for start in range(offset, offset + length, _PIECE):
            await file.pwrite(start, zeroes[: offset + length - start])
    else:
        keeps_room = preallocation is Preallocation.FALLOC
        await file.pwrite_zeroes(offset, length, 0 if keeps_room else flags.MAY_UNMAP)
