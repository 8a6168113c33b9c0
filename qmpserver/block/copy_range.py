"""Have the host copy from file to file what need not pass through memory."""

import contextlib
import functools
from collections.abc import Sequence
from typing import NamedTuple, TypeGuard

from qmpserver.block.head_guard import GUARDED
from qmpserver.block.requests import TrackedRequest
from qmpserver.block.view import NodeView
from qmpserver.driver_api.driver import BlockDriver, MappingDriver
from qmpserver.driver_api.extras import SupportsCopyRange
from qmpserver.driver_api.mapping import Allocation, Mapping, MappingKind
from qmpserver.units import KiB, align_down, align_up

_PLAIN_UNIT = 64 * KiB
"""What is looked at together for zeroes where the target has no clusters."""

_MOST_ROOMS = 32
"""Places that are stored in together: each keeps a table of the target's in memory until then."""


class _Place(NamedTuple):
    """Where a run of bytes lies: in which protocol node, from which byte, how many."""

    node: NodeView
    offset: int
    length: int


async def copy_from_backing(node: NodeView, driver: MappingDriver, offset: int, length: int) -> int:
    """Store what the backing node supplies, if the host can copy it there by itself.

    Args:
        node: Where to; the caller holds a serialising request over the clusters concerned.
        driver: The node's driver.
        offset: First byte, at the beginning of a subcluster that `node` does not hold.
        length: Bytes of such subclusters.

    Returns:
        The bytes that were stored; 0 when they have to go through memory, for instance because they
        may be zeroes, which are not stored as data.
    """
    source = await _find(node.backing, offset, length)
    return 0 if source is None else await _store_new(source, node, driver, offset)


async def copy_between(source: NodeView, target: NodeView, offset: int, length: int) -> int:
    """Store the first bytes of a range of `source` at the same place of `target`, if the host can do it by itself.

    Both may be in use meanwhile: the ordinary requests' rules for conflicts hold.

    Returns:
        The bytes that were stored; 0 when they have to go through memory.

    Raises:
        OSError: They could not be read, or not be written.
    """
    if not _may_pass_unseen(target, offset):
        return 0
    async with contextlib.AsyncExitStack() as held:
        place = await _find_held(held, source, offset, length, target)
        if place is None:
            return 0
        if target.mapping is not None:
            return await _store(place, target, target.mapping, offset)
        is_done = await _copy(place, _Place(target, offset, place.length), _PLAIN_UNIT)
    return place.length if is_done else 0


async def copy_together(source: NodeView, target: NodeView, runs: Sequence[tuple[int, int]]) -> bool:
    """Store several runs of `source` at the same places of `target`, if the host can do all of it by itself.

    It is for whoever has no event loop: nobody else has requests under way, and none is held back.

    Args:
        source: Where from.
        target: Where to.
        runs: Of each the first byte and the bytes: whole subclusters of which `target` has none yet.

    Raises:
        OSError: They could not be read, or not be written; `target` is as it was.
    """
    driver = target.mapping
    if driver is None or not _may_pass_unseen(target, min(offset for offset, _ in runs)):
        return False
    async with contextlib.AsyncExitStack() as undo:
        rooms = await _make_rooms(undo, source, driver, runs)
        if not await _fill(rooms, target, driver.subcluster_size):
            return False
        undo.pop_all()
    for _, room in rooms:
        await driver.link(room)
        target.note_written(room.offset, room.length)
    return True


async def _make_rooms(
    undo: contextlib.AsyncExitStack, source: NodeView, driver: MappingDriver, runs: Sequence[tuple[int, int]]
) -> list[tuple[_Place, Allocation]]:
    """Reserve room for runs, and return what of the source goes where; none if not all can have it."""
    rooms: list[tuple[_Place, Allocation]] = []
    for start, length in runs:
        reached, end = start, start + length
        while reached < end:
            place = await _find(source, reached, end - reached)
            if place is None or len(rooms) == _MOST_ROOMS:
                return []
            room = await _make_room(undo, driver, reached, place.length)
            if room is None:
                return []
            rooms.append((place, room))
            reached += room.length
    return rooms


async def _make_room(
    undo: contextlib.AsyncExitStack, driver: MappingDriver, offset: int, length: int
) -> Allocation | None:
    """Reserve room for the first of a range that has none yet; None if it has, or as :func:`_reserve`."""
    mapping = await driver.map(offset, length)
    if mapping.in_place:
        return None
    return await _reserve(undo, driver, offset, mapping.length)


async def _reserve(
    undo: contextlib.AsyncExitStack, driver: MappingDriver, offset: int, length: int
) -> Allocation | None:
    """Reserve room for the first of a range; None if old bytes would have to be stored around the new ones."""
    room = await driver.allocate(offset, length)
    undo.push_async_callback(driver.release, room)
    return room if room.offset == offset and room.length <= length else None


async def _fill(rooms: Sequence[tuple[_Place, Allocation]], target: NodeView, unit: int) -> bool:
    """Copy all there is room for, if all is to go from one protocol node to one other; say whether it was done."""
    if not rooms:
        return False
    source, child = rooms[0][0].node, rooms[0][1].child
    node = _node_of(target, child)
    if node is None or not _can_copy(node.driver):
        return False
    if any(place.node is not source or room.child is not child for place, room in rooms):
        return False
    ranges = [(place.offset, room.host_offset, room.length) for place, room in rooms]
    is_done = await node.driver.copy_ranges(source.driver, ranges, unit)
    for _, offset, length in ranges:
        node.note_written(offset, length)
    return is_done


async def _find_held(
    held: contextlib.AsyncExitStack, node: NodeView | None, offset: int, length: int, target: NodeView
) -> _Place | None:
    """Follow a range down to a protocol node, holding it in every layer passed as a read does.

    Nothing is found below `target`: new room in it would wait for what is held there.
    """
    while node is not None and node is not target and offset < node.size and not node.driver.is_filter:
        length = min(length, node.size - offset)
        if node.mapping is None:
            return _Place(node, offset, length) if _can_copy(node.driver) else None
        await held.enter_async_context(_Turn(node, offset, offset + length))
        mapping = await node.mapping.map(offset, length)
        length = mapping.length
        if mapping.kind is MappingKind.DATA:
            node, offset = _node_of(node, mapping.child), mapping.offset
        elif mapping.kind is MappingKind.BACKING:
            node = node.backing
        else:
            return None
    return None


def _may_pass_unseen(target: NodeView, offset: int) -> bool:
    """Say whether nobody wants to look at what is stored from a byte on."""
    if target.driver.is_filter or target.flags.detect_zeroes != "off" or target.flags.read_only:
        return False
    # What begins an image that was guessed to be raw is looked at.
    return target.head_guard is None or offset >= GUARDED


class _Turn:
    """A section that counts as a request of a node's, from when it is its turn; a generator would cost much more."""

    __slots__ = ("_in_flight", "_is_serialising", "_range", "_request", "_requests")

    def __init__(self, node: NodeView, start: int, end: int, *, is_serialising: bool = False) -> None:
        self._in_flight = node.in_flight()
        self._requests = node.requests
        self._range = (start, end)
        self._is_serialising = is_serialising
        self._request: TrackedRequest | None = None

    async def __aenter__(self) -> None:
        requests = self._requests
        await self._in_flight.__aenter__()
        begin = requests.begin_serialising if self._is_serialising else requests.begin
        self._request = begin(*self._range)
        try:
            await requests.turn(self._request)
        except BaseException:
            await self.__aexit__()
            raise

    async def __aexit__(self, *_error: object) -> None:
        assert self._request is not None
        self._requests.end(self._request)
        await self._in_flight.__aexit__(None, None, None)


async def _store(source: _Place, node: NodeView, driver: MappingDriver, offset: int) -> int:
    """Store the first run of what is at `source`; return its length, 0 when it was not done.

    The source is in flight meanwhile.  Whoever holds the target still may be waiting for that, so nothing
    here waits for a node that is held still.
    """
    if node.is_held_still:
        return 0
    async with _Turn(node, offset, offset + source.length):
        mapping = await driver.map(offset, source.length)
        if mapping.in_place:
            return await _store_in_place(source, node, driver, offset, mapping)
    return await _store_over(source, node, driver, offset)


async def _store_in_place(
    source: _Place, node: NodeView, driver: MappingDriver, offset: int, mapping: Mapping
) -> int:
    target = _node_of(node, mapping.child)
    if target is None:
        return 0
    place = _Place(target, mapping.offset, mapping.length)
    if not await _copy(source, place, max(driver.subcluster_size, _PLAIN_UNIT)):
        return 0
    node.note_written(offset, mapping.length)
    return mapping.length


async def _store_over(source: _Place, node: NodeView, driver: MappingDriver, offset: int) -> int:
    """Store in new room, over what cannot be written in place."""
    if node.is_held_still:
        return 0
    cluster = driver.cluster_size
    start, end = align_down(offset, cluster), align_up(offset + source.length, cluster)
    async with _Turn(node, start, end, is_serialising=True):
        mapping = await driver.map(offset, source.length)
        if mapping.in_place:
            return 0
        run = _Place(source.node, source.offset, mapping.length)
        return await _store_new(run, node, driver, offset)


async def _store_new(source: _Place, node: NodeView, driver: MappingDriver, offset: int) -> int:
    """Store whole subclusters in new room; the caller holds a serialising request over their clusters."""
    unit = driver.subcluster_size
    run = align_down(source.length, unit)
    if not run:
        return 0
    async with contextlib.AsyncExitStack() as undo:
        room = await _reserve(undo, driver, offset, run)
        if room is None or not await _copy_to_new(source, node, room, unit):
            return 0
        undo.pop_all()
    await driver.link(room)
    node.note_written(offset, room.length)
    return room.length


async def _find(node: NodeView | None, offset: int, length: int) -> _Place | None:
    """Follow a range down to the protocol node that holds the first of it, through nodes that stay as they are."""
    while node is not None and node.flags.read_only and offset < node.size:
        length = min(length, node.size - offset)
        if node.mapping is None:
            return _Place(node, offset, length) if _can_copy(node.driver) else None
        mapping = await node.mapping.map(offset, length)
        length = mapping.length
        if mapping.kind is MappingKind.DATA:
            node, offset = _node_of(node, mapping.child), mapping.offset
        elif mapping.kind is MappingKind.BACKING:
            node = node.backing
        else:
            return None
    return None


async def _copy_to_new(source: _Place, node: NodeView, allocation: Allocation, unit: int) -> bool:
    target = _node_of(node, allocation.child)
    return target is not None and await _copy(
        source, _Place(target, allocation.host_offset, allocation.length), unit
    )


async def _copy(source: _Place, target: _Place, unit: int) -> bool:
    """Copy as much as there is room for; a piece of `unit` bytes that may be zeroes is a reason not to."""
    node = target.node
    if not _can_copy(node.driver):
        return False
    end = target.offset + target.length
    async with source.node.in_flight():
        if node.is_held_still:
            return False
        async with _Turn(node, target.offset, end):
            ranges = [(source.offset, target.offset, target.length)]
            is_done = await node.driver.copy_ranges(source.node.driver, ranges, unit)
    node.note_written(target.offset, target.length)
    return is_done


def _can_copy(driver: BlockDriver) -> TypeGuard[SupportsCopyRange]:
    return _instances_can_copy(type(driver))


@functools.cache
def _instances_can_copy(driver: type[BlockDriver]) -> bool:
    # To look takes long, and is done for every run.
    return issubclass(driver, SupportsCopyRange)


def _node_of(node: NodeView, child: object) -> NodeView | None:
    return next((edge.node for edge in node.children.values() if edge is child), None)
