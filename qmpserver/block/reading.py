"""Carry out reads, and say what is known of a range, from a driver's answers."""

from typing import TYPE_CHECKING, assert_never

from qmpserver.block.zeroes import fill_zeroes, zero_runs
from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.driver import BlockDriver, MappingDriver
from qmpserver.driver_api.mapping import MappingKind
from qmpserver.driver_api.status import BlockStatus
from qmpserver.units import MiB, align_down, align_up

if TYPE_CHECKING:
    from qmpserver.block.node import Node

COPY_ON_READ_CHUNK = MiB
"""Bytes fetched and stored at once by copy-on-read; bounds its memory."""


async def read(node: "Node", offset: int, into: memoryview, flags: int) -> None:
    """Fill `into` from `node`, waiting for whatever serialising request is in the way."""
    end = offset + len(into)
    size = node.size
    if end > size:
        valid = max(size - offset, 0)
        fill_zeroes(into[valid:])
        into = into[:valid]
        end = size
        if not valid:
            return
    if flags and node.mapping is not None and flags & request_flags.COPY_ON_READ:
        await _copy_on_read(node, offset, into, fetch_only=bool(flags & request_flags.PREFETCH))
        return
    requests = node.requests
    request = requests.begin(offset, end)
    try:
        if requests.must_wait:
            await requests.turn(request)
        if node.mapping is not None:
            await read_mapped(node, node.mapping, offset, into)
        else:
            await _read_plain(node.driver, offset, into, flags)
    finally:
        requests.end(request)


async def read_mapped(node: "Node", driver: MappingDriver, offset: int, into: memoryview) -> None:
    """Fill `into` from wherever the driver says its parts live.  Takes no turn in `requests`."""
    while length := len(into):
        mapping = await driver.map(offset, length)
        run = mapping.length
        part = into if run >= length else into[:run]
        match mapping.kind:
            case MappingKind.DATA:
                assert mapping.child is not None
                await mapping.child.pread(mapping.offset, part)
            case MappingKind.ZERO:
                fill_zeroes(part)
            case MappingKind.BACKING:
                await read_backing(node, offset, part)
            case MappingKind.SPECIAL:
                await driver.pread_special(offset, part)
            case _:
                assert_never(mapping.kind)
        if run >= length:
            return
        offset += run
        into = into[run:]


async def read_backing(node: "Node", offset: int, into: memoryview) -> None:
    """Fill `into` from the backing node, or with zeroes where it does not reach."""
    backing = node.backing
    if backing is None:
        fill_zeroes(into)
    else:
        await backing.pread(offset, into)


async def _read_plain(driver: BlockDriver, offset: int, into: memoryview, flags: int) -> None:
    alignment = driver.limits.request_alignment
    if alignment <= 1 or (offset % alignment == 0 and len(into) % alignment == 0):
        await driver.pread(offset, into, flags)
        return
    start, end = align_down(offset, alignment), align_up(offset + len(into), alignment)
    padded = memoryview(bytearray(end - start))
    await driver.pread(start, padded, flags)
    into[:] = padded[offset - start : offset - start + len(into)]


async def _copy_on_read(node: "Node", offset: int, into: memoryview, *, fetch_only: bool) -> None:
    """Store what has to be fetched from below in `node`; fill `into` unless only that is wanted."""
    driver = node.mapping
    assert driver is not None
    while length := len(into):
        requests = node.requests
        cluster, unit = driver.cluster_size, driver.subcluster_size
        start = align_down(offset, unit)
        end = min(align_up(offset + min(length, COPY_ON_READ_CHUNK), unit), node.size)
        request = requests.begin_serialising(align_down(start, cluster), align_up(end, cluster))
        try:
            await requests.turn(request)
            run = await _copy_on_read_chunk(node, driver, (start, end), offset, into, fetch_only=fetch_only)
        finally:
            requests.end(request)
        offset += run
        into = into[run:]


async def _copy_on_read_chunk(
    node: "Node",
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
            await read_mapped(node, driver, offset, into[:done])
        return done
    whole = fetch_only and start == offset and run_end <= offset + len(into)
    fetched = into[:done] if whole else memoryview(bytearray(mapping.length))
    await read_backing(node, start, fetched)
    if not fetch_only:
        into[:done] = fetched[offset - start : offset - start + done]
    await _store_fetched(node, driver, start, fetched)
    return done


async def _store_fetched(node: "Node", driver: MappingDriver, offset: int, data: memoryview) -> None:
    # Imported here: writing needs reading for copy-on-write, and reading needs writing for copy-on-read.
    from qmpserver.block import writing  # noqa: PLC0415

    for start, length, all_zero in zero_runs(data, driver.subcluster_size):
        if all_zero:
            await writing.zero_allocated(node, driver, offset + start, length)
        else:
            await writing.write_allocating(node, driver, offset + start, data[start : start + length])
    node.note_written(offset + len(data))


async def block_status(node: "Node", offset: int, length: int) -> BlockStatus:
    """Say what `node` knows of a range inside its size, for as long a run as is known."""
    driver = node.mapping
    if driver is None:
        return await node.driver.block_status(offset, length)
    mapping = await driver.map(offset, length)
    run = mapping.length
    match mapping.kind:
        case MappingKind.DATA:
            assert mapping.child is not None
            if driver.status_follows_child:
                return await mapping.child.block_status(mapping.offset, run)
            return BlockStatus(
                run, is_data=True, is_zero=False, is_allocated=True, host_offset=mapping.offset
            )
        case MappingKind.ZERO:
            return BlockStatus(run, is_data=False, is_zero=True, is_allocated=True)
        case MappingKind.SPECIAL:
            return BlockStatus(run, is_data=True, is_zero=False, is_allocated=True, is_compressed=True)
        case MappingKind.BACKING:
            return _unallocated_status(node, offset, run)
        case _:
            assert_never(mapping.kind)


def _unallocated_status(node: "Node", offset: int, run: int) -> BlockStatus:
    """Unallocated reads as zeroes where no backing node reaches."""
    backing = node.backing
    backing_size = backing.size if backing is not None else 0
    if offset >= backing_size:
        return BlockStatus(run, is_data=False, is_zero=True, is_allocated=False)
    run = min(run, backing_size - offset)
    return BlockStatus(run, is_data=False, is_zero=False, is_allocated=False)
