"""Read, and store on the way what a node does not hold itself: copy-on-read."""

from qmpserver.block import chain, copy_range, reading, writing
from qmpserver.block.view import NodeView
from qmpserver.driver_api.driver import MappingDriver
from qmpserver.driver_api.flags import PREFETCH
from qmpserver.driver_api.mapping import MappingKind
from qmpserver.units import MiB, align_down, align_up
from qmpserver.zeroes import fill_zeroes, zero_runs

COPY_ON_READ_CHUNK = 2 * MiB
"""Bytes fetched and stored at once; bounds the memory of a read."""


async def read(node: NodeView, driver: MappingDriver, offset: int, into: memoryview, flags: int) -> None:
    """Store what has to be fetched from below in `node`; fill `into`, unless PREFETCH is all that is wanted.

    Nothing is stored past the node's end, which reads as zeroes.
    """
    fetch_only = bool(flags & PREFETCH)
    valid = max(min(len(into), node.size - offset), 0)
    fill_zeroes(into[valid:])
    into = into[:valid]
    while length := len(into):
        requests = node.requests
        cluster, unit = driver.cluster_size, driver.subcluster_size
        start = align_down(offset, unit)
        end = min(align_up(offset + min(length, COPY_ON_READ_CHUNK), unit), node.size)
        request = requests.begin_serialising(align_down(start, cluster), align_up(end, cluster))
        try:
            await requests.turn(request)
            run = await _read_chunk(node, driver, (start, end), offset, into, fetch_only=fetch_only)
        finally:
            requests.end(request)
        offset += run
        into = into[run:]


async def _read_chunk(
    node: NodeView,
    driver: MappingDriver,
    span: tuple[int, int],
    offset: int,
    into: memoryview,
    *,
    fetch_only: bool,
) -> int:
    """Deal with the first run of one kind in a span of whole subclusters; return the bytes of `into` done."""
    start, end = span
    mapping = await driver.map(start, end - start)
    run_end = start + mapping.length
    done = min(run_end, offset + len(into)) - offset
    if mapping.kind is not MappingKind.BACKING:
        if not fetch_only:
            await reading.read_mapped(node, driver, offset, into[:done])
        return done
    whole = fetch_only and start == offset and run_end <= offset + len(into)
    if whole and (copied := await copy_range.copy_from_backing(node, driver, start, mapping.length)):
        return copied
    if whole and (zeroed := await _store_known_zeroes(node, driver, start, mapping.length)):
        return zeroed
    fetched = into[:done] if whole else memoryview(bytearray(mapping.length))
    await reading.read_backing(node, start, fetched)
    if not fetch_only:
        into[:done] = fetched[offset - start : offset - start + done]
    await _store_fetched(node, driver, start, fetched)
    return done


async def _store_known_zeroes(node: NodeView, driver: MappingDriver, offset: int, length: int) -> int:
    """Store what the chain below knows to be zeroes without reading it; return how many bytes that is."""
    backing = node.backing
    if backing is None or offset >= backing.size:
        return 0
    status = await chain.status_above(backing, offset, min(length, backing.size - offset))
    # A last unit that is not whole has to be read.
    zeroed = align_down(status.length, driver.subcluster_size) if status.is_zero else 0
    if zeroed:
        await writing.zero_allocated(node, driver, offset, zeroed)
        node.note_changed(offset + zeroed)
    return zeroed


async def _store_fetched(node: NodeView, driver: MappingDriver, offset: int, data: memoryview) -> None:
    for start, length, all_zero in zero_runs(data, driver.subcluster_size):
        if all_zero:
            await writing.zero_allocated(node, driver, offset + start, length)
        else:
            await writing.write_allocating(node, driver, offset + start, data[start : start + length])
    node.note_changed(offset + len(data))
