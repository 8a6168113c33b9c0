"""Carry out reads, and say what is known of a range, from a driver's answers."""

from typing import assert_never

from qmpserver.block.view import NodeView
from qmpserver.block.zeroes import fill_zeroes
from qmpserver.driver_api.driver import BlockDriver, MappingDriver
from qmpserver.driver_api.mapping import MappingKind
from qmpserver.driver_api.status import BlockStatus
from qmpserver.units import align_down, align_up


async def read(node: NodeView, offset: int, into: memoryview, flags: int) -> None:
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


async def read_mapped(node: NodeView, driver: MappingDriver, offset: int, into: memoryview) -> None:
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


async def read_backing(node: NodeView, offset: int, into: memoryview) -> None:
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


async def block_status(node: NodeView, offset: int, length: int) -> BlockStatus:
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


def _unallocated_status(node: NodeView, offset: int, run: int) -> BlockStatus:
    """Unallocated reads as zeroes where no backing node reaches."""
    backing = node.backing
    backing_size = backing.size if backing is not None else 0
    if offset >= backing_size:
        return BlockStatus(run, is_data=False, is_zero=True, is_allocated=False)
    run = min(run, backing_size - offset)
    return BlockStatus(run, is_data=False, is_zero=False, is_allocated=False)
