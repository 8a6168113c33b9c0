"""Find out, when a mirror begins, what of its target is unequal to its source."""

import asyncio
import errno
from collections.abc import Awaitable, Callable

from qmpserver.block import chain
from qmpserver.block.node import Node
from qmpserver.block.zero_map import ZeroMap
from qmpserver.driver_api import flags as request_flags
from qmpserver.jobs.mirror_copy import MirrorCopy
from qmpserver.jobs.mirror_plan import MirrorPlan, MirrorSync
from qmpserver.units import KiB, MiB
from qmpserver.zeroes import is_zero

LOOK_AHEAD = 8 * MiB
"""Bytes that the images' tables are asked about at once."""

ZEROED_AT_ONCE = 128 * MiB
"""Bytes of the target that are made zero before the job looks around."""

_MOST_READ = 128 * KiB
"""QEMU: a file that is made empty may have its first block written; that much is read to see."""

PausePoint = Callable[[], Awaitable[None]]
"""Where the job stops if it is to pause; raises when it was cancelled."""


async def find_unequal(plan: MirrorPlan, copy: MirrorCopy, pause_point: PausePoint) -> None:
    """Mark in the copy's bitmap what has to be copied.

    Raises:
        OSError: An image cannot be read, or the target not be written.
    """
    if plan.sync is MirrorSync.NONE:
        return
    if plan.sync is MirrorSync.FULL and not plan.is_commit:
        if not await _is_zero(plan, pause_point):
            copy.bitmap.set(0, plan.source.size)
            return
        copy.copier.target_zeroes = zeroes = ZeroMap(plan.source.size, plan.granularity)
        zeroes.note_zero(0, plan.source.size)
    await _mark_allocated(plan, copy, pause_point)


async def _is_zero(plan: MirrorPlan, pause_point: PausePoint) -> bool:
    if plan.target_is_zero or await is_all_zero(plan.target, pause_point):
        return True
    return plan.target.flags.discard and await _make_zero(plan.target, pause_point)


async def _make_zero(target: Node, pause_point: PausePoint) -> bool:
    """Make all of the target zero by freeing its room; say whether that can be had."""
    flags = request_flags.MAY_UNMAP | request_flags.NO_FALLBACK
    for offset in range(0, target.size, ZEROED_AT_ONCE):
        await pause_point()
        try:
            await target.pwrite_zeroes(offset, min(ZEROED_AT_ONCE, target.size - offset), flags)
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
            return False
    return True


async def is_all_zero(node: Node, pause_point: PausePoint) -> bool:
    """Say whether a node is known to read as zeroes, all of it.

    Raises:
        OSError: An image cannot be read.
    """
    offset = 0
    while offset < node.size:
        await pause_point()
        status = await chain.status_above(node, offset, node.size - offset)
        if not status.is_zero and (offset or not await _begins_with_zeroes(node, status.length)):
            return False
        offset += status.length
    return True


async def _begins_with_zeroes(node: Node, length: int) -> bool:
    if length > _MOST_READ:
        return False
    head = memoryview(bytearray(length))
    await node.pread(0, head)
    return is_zero(head)


async def _mark_allocated(plan: MirrorPlan, copy: MirrorCopy, pause_point: PausePoint) -> None:
    source, bottom = plan.source, None if plan.bottom is None else plan.bottom.node_name
    offset, size = 0, source.size
    while offset < size:
        await pause_point()
        length = min(LOOK_AHEAD, size - offset)
        is_allocated, run = await source.is_allocated_down_to(bottom, offset, length)
        if is_allocated:
            copy.bitmap.set(offset, run)
        offset += run
        # Tables in memory answer at once: without this a large disk would hold up everybody.
        await asyncio.sleep(0)
