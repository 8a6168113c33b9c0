"""Carry out writes, zeroes and discards from a driver's answers; do copy-on-write."""

import asyncio
import errno
import itertools
import os
from collections.abc import Iterator, Sequence

from qmpserver.block import reading
from qmpserver.block.gathering import MOST
from qmpserver.block.requests import TrackedRequest
from qmpserver.block.view import NodeView
from qmpserver.block.zero_rest import whole_unit
from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api import vectors
from qmpserver.driver_api.debug_events import debug_event
from qmpserver.driver_api.driver import BlockDriver, MappingDriver, not_supported
from qmpserver.driver_api.mapping import Allocation
from qmpserver.units import MiB, align_down, align_up
from qmpserver.zeroes import is_zero, zero_view

COMPRESSED_AT_ONCE = 4
"""Clusters of one request that are compressed at the same time."""


async def write(node: NodeView, offset: int, data: memoryview, flags: int) -> None:
    """Store `data` in `node`, as zeroes where the node is asked to detect them."""
    if node.flags.detect_zeroes != "off" and is_zero(data):
        unmap = node.flags.detect_zeroes == "unmap" and node.flags.discard
        await write_zeroes(node, offset, len(data), flags | (request_flags.MAY_UNMAP if unmap else 0))
        return
    hook = node.driver.debug_hook
    if hook is not None:
        await hook("pwritev")
    if node.mapping is not None and flags & request_flags.WRITE_COMPRESSED:
        await _write_compressed(node, node.mapping, offset, data)
    elif node.mapping is not None:
        await _write_mapped(node, node.mapping, offset, data)
    else:
        await _write_plain(node, node.driver, offset, data, flags)
    node.note_written(offset, len(data))
    if hook is not None:
        await hook("pwritev_done")
    if flags & request_flags.FUA and not node.driver.handles_fua:
        await node.driver.flush()


def takes_vectors(node: NodeView) -> bool:
    """Say whether several buffers can be handed to the node's driver as they are."""
    driver = node.driver
    if node.mapping is not None or node.flags.detect_zeroes != "off" or driver.debug_hook is not None:
        return False
    limits = driver.limits
    return limits.request_alignment <= 1 and not limits.max_transfer


async def write_vector(node: NodeView, offset: int, buffers: Sequence[memoryview], flags: int) -> None:
    """Store buffers, one behind the other, in a node that :func:`takes_vectors`."""
    requests, length = node.requests, sum(map(len, buffers))
    request = requests.begin(offset, offset + length)
    try:
        if requests.serialising:
            await requests.turn(request)
        await node.driver.pwritev(offset, buffers, flags)
    finally:
        requests.end(request)
    node.note_written(offset, length)
    if flags & request_flags.FUA and not node.driver.handles_fua:
        await node.driver.flush()


async def _write_plain(
    node: NodeView, driver: BlockDriver, offset: int, data: memoryview, flags: int
) -> None:
    if flags & request_flags.WRITE_COMPRESSED and not driver.is_filter:
        raise not_supported()
    requests = node.requests
    alignment = driver.limits.request_alignment
    end = offset + len(data)
    if alignment <= 1 or (offset % alignment == 0 and end % alignment == 0):
        request = requests.begin(offset, end)
        try:
            if requests.serialising:
                await requests.turn(request)
            await _write_parts(driver, offset, data, flags)
        finally:
            requests.end(request)
        return
    start, padded_end = align_down(offset, alignment), align_up(end, alignment)
    request = requests.begin_serialising(start, padded_end)
    try:
        await requests.turn(request)
        padded = await _read_around(driver, start, padded_end, offset, end)
        padded[offset - start : end - start] = data
        await _write_parts(driver, start, padded, flags)
    finally:
        requests.end(request)


async def _write_parts(driver: BlockDriver, offset: int, data: memoryview, flags: int) -> None:
    """Write an aligned range, no more at once than the driver takes."""
    most = driver.limits.max_transfer
    if not most or len(data) <= most:
        await driver.pwrite(offset, data, flags)
        return
    for start in range(0, len(data), most):
        await driver.pwrite(offset + start, data[start : start + most], flags)


async def _read_around(driver: BlockDriver, start: int, stop: int, offset: int, end: int) -> memoryview:
    """Return what an aligned range holds of which ``[offset, end)`` is about to be replaced."""
    sides = [side for side, is_cut in (("head", start < offset), ("tail", end < stop)) if is_cut]
    for side in sides:
        await debug_event(driver, f"pwritev_rmw_{side}")
    padded = memoryview(bytearray(stop - start))
    await reading.read_parts(driver, start, padded, 0)
    for side in sides:
        await debug_event(driver, f"pwritev_rmw_after_{side}")
    return padded


async def _write_mapped(node: NodeView, driver: MappingDriver, offset: int, data: memoryview) -> None:
    while length := len(data):
        done = await _write_first(node, driver, offset, data)
        if not done:
            done = await _write_new(node, driver, offset, data)
        if done >= length:
            return
        offset += done
        data = data[done:]


async def _write_first(node: NodeView, driver: MappingDriver, offset: int, data: memoryview) -> int:
    """Store the first run of `data`; return its length, 0 when the caller is to do it in new room."""
    requests = node.requests
    request = requests.begin(offset, offset + len(data))
    try:
        if requests.serialising:
            await requests.turn(request)
        mapping = await driver.map(offset, len(data))
        if mapping.in_place:
            assert mapping.child is not None
            if (hook := mapping.child.debug_hook) is not None:
                await hook("write_aio")
            await mapping.child.pwrite(mapping.offset, data[: mapping.length])
            return mapping.length
        # Only the run that `map` judged alike: what follows may be writable in place.
        data = data[: mapping.length]
        if len(data) >= MOST or (len(requests) == 1 and not node.gathering.not_begun):
            return await _write_new_as(request, node, driver, offset, data)
    finally:
        requests.end(request)

    async def store(start: int, buffers: list[memoryview]) -> None:
        await _write_joined(node, driver, start, buffers)

    return len(data) if await node.gathering.write(offset, data, store) else 0


async def _write_new_as(
    request: TrackedRequest, node: NodeView, driver: MappingDriver, offset: int, data: memoryview
) -> int:
    """Store the first run of `data`, just mapped under `request`, in new room; return its length.

    That is 0 when others came in between.
    """
    cluster, requests = driver.cluster_size, node.requests
    start, end = align_down(offset, cluster), align_up(offset + len(data), cluster)
    if not requests.make_serialising(request, start, end) or await requests.turn(request):
        return 0
    return await _write_run(node, driver, offset, [data])


async def _write_new(node: NodeView, driver: MappingDriver, offset: int, data: memoryview) -> int:
    """Store the first run of `data` in new room; return its length, 0 when none was needed after all."""
    cluster = driver.cluster_size
    requests = node.requests
    request = requests.begin_serialising(align_down(offset, cluster), align_up(offset + len(data), cluster))
    try:
        await requests.turn(request)
        mapping = await driver.map(offset, len(data))
        if mapping.in_place:
            return 0
        return await _write_run(node, driver, offset, [data[: mapping.length]])
    finally:
        requests.end(request)


async def _write_joined(
    node: NodeView, driver: MappingDriver, offset: int, buffers: list[memoryview]
) -> None:
    """Store several writes, one behind the other, in new room or where one of them had some already."""
    cluster, requests = driver.cluster_size, node.requests
    length = sum(map(len, buffers))
    request = requests.begin_serialising(align_down(offset, cluster), align_up(offset + length, cluster))
    try:
        await requests.turn(request)
        while buffers:
            mapping = await driver.map(offset, length)
            run, buffers = vectors.split(buffers, mapping.length)
            if mapping.in_place:
                assert mapping.child is not None
                await debug_event(mapping.child, "write_aio")
                await mapping.child.pwritev(mapping.offset, run)
            else:
                await _write_runs(node, driver, offset, run)
            offset += mapping.length
            length -= mapping.length
    finally:
        requests.end(request)


async def write_allocating(node: NodeView, driver: MappingDriver, offset: int, data: memoryview) -> None:
    """Store `data` in new room.  The caller holds a serialising request over the clusters concerned."""
    await _write_runs(node, driver, offset, [data])


async def _write_runs(node: NodeView, driver: MappingDriver, offset: int, buffers: list[memoryview]) -> None:
    while buffers:
        done = await _write_run(node, driver, offset, buffers)
        offset += done
        _, buffers = vectors.split(buffers, done)


async def _write_run(node: NodeView, driver: MappingDriver, offset: int, buffers: list[memoryview]) -> int:
    """Store the first bytes of `buffers` in new room; return how many there was room for."""
    length = sum(map(len, buffers))
    allocation = await driver.allocate(offset, length)
    done = min(allocation.offset + allocation.length - offset, length)
    if done < length:
        buffers, _ = vectors.split(buffers, done)
    try:
        filled = await _filled(node, driver, allocation, offset, buffers)
        await debug_event(allocation.child, "write_aio")
        if len(filled) == 1:
            await allocation.child.pwrite(allocation.host_offset, filled[0])
        else:
            await allocation.child.pwritev(allocation.host_offset, filled)
    except BaseException:
        await driver.release(allocation)
        raise
    await driver.link(allocation)
    return done


async def _filled(
    node: NodeView, driver: MappingDriver, allocation: Allocation, offset: int, buffers: list[memoryview]
) -> list[memoryview]:
    """Return what belongs into an allocation: `buffers`, with the old bytes before and after them."""
    start, end = allocation.offset, allocation.offset + allocation.length
    data_end = offset + sum(map(len, buffers))
    if start == offset and data_end == end:
        return buffers
    await debug_event(allocation.child, "cow_read")
    filled = list(buffers)
    if start < offset:
        head = memoryview(bytearray(offset - start))
        await reading.read_mapped(node, driver, start, head)
        filled.insert(0, head)
    if data_end < end:
        tail = memoryview(bytearray(end - data_end))
        old_end = min(end, node.size)
        if data_end < old_end:
            await reading.read_mapped(node, driver, data_end, tail[: old_end - data_end])
        filled.append(tail)
    return filled


async def _write_compressed(node: NodeView, driver: MappingDriver, offset: int, data: memoryview) -> None:
    """Store whole clusters compressed, several at once; what does not shrink is then written plainly."""
    cluster, end = driver.cluster_size, offset + len(data)
    if offset % cluster or (end % cluster and end != node.size):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    request = node.requests.begin_serialising(offset, align_up(end, cluster))
    waiting = iter(range(offset, end, cluster))
    refused: list[tuple[int, int]] = []

    async def work(starts: Iterator[int]) -> None:
        for start in starts:
            part = data[start - offset : start - offset + cluster]
            if not await driver.write_compressed(start, part):
                refused.append((start, start + len(part)))

    try:
        await node.requests.turn(request)
        if len(data) <= cluster:
            await work(waiting)
        else:
            # All of them end before the request does, whichever fails.
            outcomes = await asyncio.gather(
                *(work(waiting) for _ in range(COMPRESSED_AT_ONCE)), return_exceptions=True
            )
            for outcome in outcomes:
                if outcome is not None:
                    raise outcome
        for start, stop in _joined(sorted(refused)):
            await write_allocating(node, driver, start, data[start - offset : stop - offset])
    finally:
        node.requests.end(request)


def _joined(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join ranges, in ascending order, where one begins at the end of that before it."""
    whole: tuple[int, int] | None = None
    for start, end in ranges:
        if whole is not None and whole[1] == start:
            whole = whole[0], end
            continue
        if whole is not None:
            yield whole
        whole = start, end
    if whole is not None:
        yield whole


async def write_zeroes(node: NodeView, offset: int, length: int, flags: int) -> None:
    """Make the range read as zeroes: whole clusters by metadata, the rest by writing."""
    driver, hook = node.mapping, node.driver.debug_hook
    if hook is not None:
        await hook("pwritev_zero")
    if driver is None:
        await _zero_plain(node, offset, length, flags)
    else:
        await _zero_mapped(node, driver, offset, length, flags)
    node.note_written(offset, length)
    if hook is not None:
        await hook("pwritev_done")
    if flags & request_flags.FUA and not node.driver.handles_fua:
        await node.driver.flush()


async def _zero_plain(node: NodeView, offset: int, length: int, flags: int) -> None:
    """Make the aligned part zero by the driver's own means, the rest by writing."""
    limits, end = node.driver.limits, offset + length
    unit = max(limits.request_alignment, 1)
    start, stop = align_up(offset, unit), end if end >= node.size else align_down(end, unit)
    if start >= stop:
        await _write_out_zeroes(node, offset, length)
        return
    await _write_out_zeroes(node, offset, start - offset)
    for at, part in _pieces(start, stop, limits.pwrite_zeroes_alignment, limits.max_pwrite_zeroes):
        await _zero_piece(node, at, part, flags)
    await _write_out_zeroes(node, stop, end - stop)


def _pieces(start: int, stop: int, unit: int, most: int) -> Iterator[tuple[int, int]]:
    """Cut a range where whole units begin and end, and into pieces of at most `most` bytes, if not 0."""
    inner = (align_up(start, unit), align_down(stop, unit)) if unit > 1 else (start, stop)
    cuts = (start, *inner, stop) if inner[0] < inner[1] else (start, stop)
    for begin, end in itertools.pairwise(cuts):
        for at in range(begin, end, most or end - begin or 1):
            yield at, min(most or end - begin, end - at)


async def _zero_piece(node: NodeView, offset: int, length: int, flags: int) -> None:
    request = node.requests.begin(offset, offset + length)
    try:
        if node.requests.serialising:
            await node.requests.turn(request)
        await node.driver.pwrite_zeroes(offset, length, flags)
        return
    except OSError as error:
        if error.errno != errno.ENOTSUP or flags & request_flags.NO_FALLBACK:
            raise
    finally:
        node.requests.end(request)
    await _write_out_zeroes(node, offset, length)


async def _zero_mapped(node: NodeView, driver: MappingDriver, offset: int, length: int, flags: int) -> None:
    unit, end = driver.subcluster_size, offset + length
    inner_start = align_up(offset, unit)
    inner_end = end if end >= node.size else align_down(end, unit)
    if inner_start > inner_end:
        await _zero_part(node, driver, offset, length, flags)
        return
    await _zero_part(node, driver, offset, inner_start - offset, flags)
    await _zero_units(node, driver, inner_start, inner_end - inner_start, flags)
    await _zero_part(node, driver, inner_end, end - inner_end, flags)


async def _zero_part(node: NodeView, driver: MappingDriver, offset: int, length: int, flags: int) -> None:
    """Make a part of one unit zero: by metadata where the rest of the unit is zero too."""
    if not length:
        return
    cluster = driver.cluster_size
    request = node.requests.begin_serialising(align_down(offset, cluster), align_up(offset + length, cluster))
    try:
        await node.requests.turn(request)
        unit = await whole_unit(node, driver, offset, length)
        if unit is not None:
            await driver.zero_clusters(*unit, may_unmap=False)
            return
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
    finally:
        node.requests.end(request)
    if flags & request_flags.NO_FALLBACK:
        raise not_supported()
    await _write_out_zeroes(node, offset, length)


async def _zero_units(node: NodeView, driver: MappingDriver, offset: int, length: int, flags: int) -> None:
    """Make whole units zero."""
    if not length:
        return
    cluster, end = driver.cluster_size, offset + length
    may_unmap = bool(flags & request_flags.MAY_UNMAP) and node.flags.discard
    request = node.requests.begin_serialising(align_down(offset, cluster), align_up(end, cluster))
    try:
        await node.requests.turn(request)
        await driver.zero_clusters(offset, length, may_unmap=may_unmap)
        zeroed = True
    except OSError as error:
        if error.errno != errno.ENOTSUP or flags & request_flags.NO_FALLBACK:
            raise
        zeroed = False
    finally:
        node.requests.end(request)
    if not zeroed:
        await _write_out_zeroes(node, offset, length)


async def zero_allocated(node: NodeView, driver: MappingDriver, offset: int, length: int) -> None:
    """Make whole subclusters zero.  The caller holds a serialising request over their clusters."""
    try:
        await driver.zero_clusters(offset, length, may_unmap=False)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        for start in range(offset, offset + length, MiB):
            await write_allocating(node, driver, start, zero_view(min(MiB, offset + length - start)))


async def _write_out_zeroes(node: NodeView, offset: int, length: int) -> None:
    end = offset + length
    while offset < end:
        part = zero_view(min(MiB, end - offset))
        if node.mapping is not None:
            await _write_mapped(node, node.mapping, offset, part)
        else:
            await _write_plain(node, node.driver, offset, part, 0)
        offset += len(part)


async def discard(node: NodeView, offset: int, length: int) -> None:
    """Give back what whole units of the range occupy; the rest of the range is left as it is."""
    driver = node.mapping
    end = min(offset + length, node.size)
    unit = driver.cluster_size if driver is not None else max(node.driver.limits.pdiscard_alignment, 1)
    start = align_up(offset, unit)
    stop = end if end >= node.size else align_down(end, unit)
    if start >= stop:
        return
    request = node.requests.begin_serialising(start, align_up(stop, unit))
    try:
        await node.requests.turn(request)
        if driver is not None:
            await driver.discard_clusters(start, stop - start)
        else:
            most = align_down(node.driver.limits.max_pdiscard, unit)
            for at in range(start, stop, most or stop - start):
                await node.driver.pdiscard(at, min(most or stop - start, stop - at))
        node.note_changed(stop)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
    finally:
        node.requests.end(request)
