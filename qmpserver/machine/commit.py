"""Store what a drive's image holds in the image right below it, and leave it empty: the monitor's ``commit``."""

import errno
import os
from typing import Final

from qmpserver.block import chain, reopening
from qmpserver.block.copy import CHUNK, Buffers
from qmpserver.block.draining import run_drained
from qmpserver.block.graph import Graph, check_not_busy
from qmpserver.block.node import Node
from qmpserver.block.range_copy import RangeCopier
from qmpserver.driver_api.extras import SupportsMakeEmpty
from qmpserver.units import GiB

_LOOK_AHEAD: Final = 1 * GiB
"""Bytes that an image's tables are asked about at once."""


async def commit(graph: Graph, top: Node) -> None:
    """Move what an image holds down, while nobody else uses either image.  The graph is locked.

    A crash at any instant leaves what the image shows as it was: it is emptied when all is stored below.

    Args:
        graph: Where both images are.
        top: The image.

    Raises:
        OSError: ENOTSUP when nothing lies below; else why it could not be copied.
        QMPError: The image below cannot be written, or one of both is busy.
    """
    image = chain.skip_filters(top)
    if image.backing is None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    base = chain.skip_filters(image.backing)
    for node in (image, base):
        check_not_busy(node)
    was_read_only = base.read_only
    if was_read_only:
        await reopening.set_read_only(graph, base, read_only=False)
    try:
        await run_drained((image, base), lambda: _move_down(image, base))
    finally:
        if was_read_only:
            await reopening.set_read_only(graph, base, read_only=True)


async def _move_down(image: Node, base: Node) -> None:
    size = image.size
    if base.size < size:
        await base.truncate(size)
    copier = RangeCopier(image, base, Buffers(), may_unmap=True)
    offset = 0
    while offset < size:
        length = min(size - offset, _LOOK_AHEAD)
        is_held, length = await chain.is_allocated(image, offset, length)
        for start in range(offset, offset + length if is_held else offset, CHUNK):
            await copier.copy(start, min(CHUNK, offset + length - start))
        offset += length
    await base.flush()
    if isinstance(image.driver, SupportsMakeEmpty):
        await image.driver.make_empty()
