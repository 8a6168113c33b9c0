"""Give space in an external data file back, and keep one that is a raw image in step.

Source: qcow2 specification, "External data file" (incompatible feature bit 2, autoclear feature bit 1).
"""

import contextlib
from collections.abc import Iterable

from qmpserver.driver_api import flags
from qmpserver.drivers.qcow2.entries import COPIED, OFFSET_MASK
from qmpserver.drivers.qcow2.image import Image


async def punch_holes(image: Image, entries: Iterable[int]) -> None:
    """Punch holes where dropped L2 entries led.

    What is there is made zero, never undefined: a cluster stays at its place, and could be in use again
    before a mapping that leads to nothing is on the disk.
    """
    start = end = 0
    for host in [entry & OFFSET_MASK for entry in entries if entry & (OFFSET_MASK | COPIED)]:
        if host != end:
            await _punch(image, start, end)
            start = host
        end = host + image.cluster_size
    await _punch(image, start, end)


async def _punch(image: Image, start: int, end: int) -> None:
    end = min(end, image.data_file.size)
    if start < end:
        # Only a favour: that it cannot be done costs space.
        with contextlib.suppress(OSError):
            await image.data_file.pwrite_zeroes(start, end - start, flags.MAY_UNMAP | flags.NO_FALLBACK)


async def zero_raw(image: Image, offset: int, length: int, *, may_unmap: bool) -> None:
    """Make a guest range zero in a data file that is a raw image; do nothing for any other image.

    An encrypted one is nothing that could be read by itself, and zeroes would not be zeroes in it.

    Raises:
        OSError: It cannot be written.
    """
    if image.is_external_raw and image.encryption is None:
        length = min(length, image.header.size - offset)
        await image.data_file.pwrite_zeroes(offset, length, flags.MAY_UNMAP if may_unmap else 0)
