"""Say what the metadata contexts tell of a range.

Source: the NBD protocol, "Metadata contexts"; the ``qemu:`` namespace as QEMU's ``docs/interop/nbd`` has it.
"""

from abc import ABC, abstractmethod
from contextlib import aclosing

from qmpserver.block import chain
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.extents import extents
from qmpserver.block.node import Node
from qmpserver.driver_api.status import BlockStatus
from qmpserver.nbd.constants import StateFlag
from qmpserver.nbd.contexts import ALLOCATION_DEPTH, BASE_ALLOCATION, DIRTY_BITMAP

MAX_EXTENTS = 4096
"""Extents of one reply; a client that wants more asks again."""

Extent = tuple[int, int]
"""Bytes, and what is said of them."""


class Context(ABC):
    """One kind of thing that can be told of a range.

    Attributes:
        name: As the wire has it.
    """

    name: str

    @abstractmethod
    async def extents(self, node: Node, offset: int, length: int, *, only_one: bool) -> list[Extent]:
        """Describe the range from its beginning, in extents that differ from their neighbours.

        Args:
            node: The exported node.
            offset: First byte, within the node.
            length: Bytes; the extents may cover fewer, never none.
            only_one: One extent is enough.
        """

    def release(self) -> None:
        """Let go of what it relies on; the export has ended."""


class _ByStatus(Context):
    """A context that asks the node for one run after the other."""

    async def extents(self, node: Node, offset: int, length: int, *, only_one: bool) -> list[Extent]:
        found: list[Extent] = []
        end = offset + length
        while offset < end:
            run, flags = await self.run(node, offset, end - offset)
            if found and found[-1][1] == flags:
                found[-1] = (found[-1][0] + run, flags)
            elif found and (only_one or len(found) >= MAX_EXTENTS):
                break
            else:
                found.append((run, flags))
            offset += run
        return found

    @abstractmethod
    async def run(self, node: Node, offset: int, length: int) -> Extent:
        """Describe the first run of a range."""


class AllocationContext(_ByStatus):
    """``base:allocation``: what is a hole, and what is known to be zeroes."""

    name: str = BASE_ALLOCATION

    async def extents(self, node: Node, offset: int, length: int, *, only_one: bool) -> list[Extent]:
        """Describe the range, by as many runs at a time as a layer knows at once."""
        if only_one:
            return await super().extents(node, offset, length, only_one=True)
        found: list[Extent] = []
        async with aclosing(extents(node, offset, offset + length)) as layers:
            async for layer in layers:
                if not _add(found, layer.statuses):
                    break
        return found

    async def run(self, node: Node, offset: int, length: int) -> Extent:
        """Describe the first run."""
        status = await chain.status_above(node, offset, length)
        return status.length, _allocation_flags(status)


def _add(found: list[Extent], statuses: list[BlockStatus]) -> bool:
    """Add extents, as many as one reply has room for; say whether that was all."""
    for status in statuses:
        flags = _allocation_flags(status)
        if found and found[-1][1] == flags:
            found[-1] = (found[-1][0] + status.length, flags)
        elif len(found) < MAX_EXTENTS:
            found.append((status.length, flags))
        else:
            return False
    return True


_HOLE, _ZERO = StateFlag.HOLE.value, StateFlag.ZERO.value
"""As plain numbers: there may be thousands of runs."""


def _allocation_flags(status: BlockStatus) -> int:
    flags = 0 if status.is_allocated and status.is_data else _HOLE
    return flags | _ZERO if status.is_zero else flags


class DepthContext(_ByStatus):
    """``qemu:allocation-depth``: 0 for what no layer holds, 1 for the top layer, more for deeper ones."""

    name: str = ALLOCATION_DEPTH

    async def run(self, node: Node, offset: int, length: int) -> Extent:
        """Describe the first run."""
        depth = 0
        for layer in chain.nodes(node):
            if layer.driver.is_filter:
                continue
            depth += 1
            if offset >= layer.size:
                return length, depth
            allocated, run = await chain.is_allocated(layer, offset, length)
            length = min(length, run)
            if allocated:
                return length, depth
        return length, 0


class BitmapContext(Context):
    """``qemu:dirty-bitmap:NAME``: what a dirty bitmap says.

    Args:
        bitmap: The bitmap; it is busy while clients may ask for it.
    """

    def __init__(self, bitmap: DirtyBitmap) -> None:
        assert bitmap.name is not None
        self.name = DIRTY_BITMAP + bitmap.name
        self._bitmap = bitmap
        bitmap.is_busy = True

    async def extents(self, node: Node, offset: int, length: int, *, only_one: bool) -> list[Extent]:
        """Describe the range."""
        del node
        found: list[Extent] = []
        end = offset + length
        is_dirty = self._bitmap.is_dirty(offset)
        while offset < end and len(found) < (1 if only_one else MAX_EXTENTS):
            search = self._bitmap.next_clean if is_dirty else self._bitmap.next_dirty
            boundary = search(offset, end)
            stop = end if boundary is None else boundary
            found.append((stop - offset, _DIRTY if is_dirty else 0))
            offset, is_dirty = stop, not is_dirty
        return found

    def release(self) -> None:
        """Let the bitmap be changed again."""
        self._bitmap.is_busy = False


_DIRTY = 1
"""What it says of bytes that are dirty."""
