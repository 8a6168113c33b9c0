"""Carry out reads, and say what is known of a range, from a driver's answers."""

from collections.abc import Sequence
from typing import assert_never

from qmpserver.block.view import NodeView
from qmpserver.driver_api.driver import BlockDriver, MappingDriver
from qmpserver.driver_api.mapping import Mapping, MappingKind
from qmpserver.driver_api.status import BlockStatus
from qmpserver.units import align_down, align_up
from qmpserver.zeroes import fill_zeroes


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
        if requests.serialising:
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
                if (hook := mapping.child.debug_hook) is not None:
                    await hook("read_aio")
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
        return
    if "file" in node.children and (hook := node.children["file"].debug_hook) is not None:
        await hook("read_backing_aio")
    await backing.pread(offset, into)


async def _read_plain(driver: BlockDriver, offset: int, into: memoryview, flags: int) -> None:
    limits = driver.limits
    alignment = limits.request_alignment
    if alignment <= 1 or (offset % alignment == 0 and len(into) % alignment == 0):
        if not limits.max_transfer:
            await driver.pread(offset, into, flags)
        else:
            await read_parts(driver, offset, into, flags)
        return
    start, end = align_down(offset, alignment), align_up(offset + len(into), alignment)
    padded = memoryview(bytearray(end - start))
    await read_parts(driver, start, padded, flags)
    into[:] = padded[offset - start : offset - start + len(into)]


async def read_parts(driver: BlockDriver, offset: int, into: memoryview, flags: int) -> None:
    """Read an aligned range, no more at once than the driver takes."""
    most = driver.limits.max_transfer or len(into)
    for start in range(0, len(into), most):
        await driver.pread(offset + start, into[start : start + most], flags)


async def block_status(node: NodeView, offset: int, length: int) -> BlockStatus:
    """Say what `node` knows of a range inside its size, for as long a run as is known."""
    driver = node.mapping
    if driver is None:
        return await node.driver.block_status(offset, length)
    return await _status_of(node, driver, await driver.map(offset, length), offset)


async def block_statuses(node: NodeView, offset: int, length: int) -> list[BlockStatus]:
    """Say what `node` knows of a range inside its size, run after run as far as is known at once."""
    driver = node.mapping
    if driver is None:
        return await node.driver.block_statuses(offset, length)
    runs = await driver.map_runs(offset, length)
    if driver.status_follows_child:
        return await _statuses_of_child(runs)
    if await driver.has_unwritten_data():
        return await _statuses_with_holes(node, driver, runs, offset)
    statuses: list[BlockStatus] = []
    stores_plainly = driver.stores_plainly
    for mapping in runs:
        if mapping.kind is MappingKind.DATA and stores_plainly:
            # There may be millions of them, so they cost no coroutine.
            status = BlockStatus(mapping.length, True, False, True, mapping.offset)
        else:
            status = await _status_of(node, driver, mapping, offset)
        statuses.append(status)
        offset += status.length
        if status.length < mapping.length:
            break
    return statuses


async def _statuses_of_child(runs: Sequence[Mapping]) -> list[BlockStatus]:
    """Do as :func:`block_statuses` where all there is is DATA of a child, which says everything of it."""
    statuses: list[BlockStatus] = []
    for _, length, child, host, _ in runs:
        assert child is not None
        below = await child.block_statuses(host, length)
        statuses += below
        if sum(status.length for status in below) < length:
            break
    return statuses


async def _statuses_with_holes(
    node: NodeView, driver: MappingDriver, runs: Sequence[Mapping], offset: int
) -> list[BlockStatus]:
    """Do as :func:`block_statuses` where DATA may be holes of the child, of which few are asked for twice."""
    statuses: list[BlockStatus] = []
    start, end, is_zero = 0, 0, False
    for mapping in runs:
        _, length, child, host, _ = mapping
        if mapping.kind is MappingKind.DATA and driver.stores_plainly:
            if not start <= host < end and child is not None:
                start, end, is_zero = child.known_run(host) or (0, 0, False)
            if start <= host and host + length <= end:
                statuses.append(BlockStatus(length, True, is_zero, True, host))
                offset += length
                continue
        status = await _status_of(node, driver, mapping, offset)
        statuses.append(status)
        offset += status.length
        if status.length < length:
            break
    return statuses


async def _status_of(node: NodeView, driver: MappingDriver, mapping: Mapping, offset: int) -> BlockStatus:
    run = mapping.length
    match mapping.kind:
        case MappingKind.DATA:
            return await _data_status(driver, mapping)
        case MappingKind.ZERO:
            room = _room(driver, mapping)
            return BlockStatus(run, is_data=False, is_zero=True, is_allocated=True, host_offset=room)
        case MappingKind.SPECIAL:
            return BlockStatus(run, is_data=True, is_zero=False, is_allocated=True, is_compressed=True)
        case MappingKind.BACKING:
            return _unallocated_status(node, offset, run, _room(driver, mapping))
        case _:
            assert_never(mapping.kind)


def _room(driver: MappingDriver, mapping: Mapping) -> int | None:
    """Return where there is room for what is not stored, if that is worth telling."""
    return mapping.offset if mapping.child is not None and driver.stores_plainly else None


async def _data_status(driver: MappingDriver, mapping: Mapping) -> BlockStatus:
    """Say what is known of a DATA run: what its child knows, or at least where it is a hole there."""
    assert mapping.child is not None
    place = mapping.offset if driver.stores_plainly else None
    status = BlockStatus(mapping.length, is_data=True, is_zero=False, is_allocated=True, host_offset=place)
    if driver.status_follows_child:
        return await mapping.child.block_status(mapping.offset, mapping.length)
    if not await driver.has_unwritten_data():
        return status
    below = await mapping.child.block_status(mapping.offset, mapping.length)
    if not below.length:
        return status._replace(is_zero=True)
    return status._replace(length=below.length, is_zero=below.is_zero)


def _unallocated_status(node: NodeView, offset: int, run: int, room: int | None) -> BlockStatus:
    """Unallocated reads as zeroes where no backing node reaches."""
    backing = node.backing
    backing_size = backing.size if backing is not None else 0
    if offset >= backing_size:
        return BlockStatus(run, is_data=False, is_zero=True, is_allocated=False, host_offset=room)
    run = min(run, backing_size - offset)
    return BlockStatus(run, is_data=False, is_zero=False, is_allocated=False, host_offset=room)
