"""Make ranges of one node equal to those of another: by the host where it can, through memory else.

Mirror, commit and their like decide *what* is to be copied when; this is how.
"""

import contextlib
from collections.abc import Iterator

from qmpserver.block import chain, copy_range
from qmpserver.block.copy import CHUNK, Buffers, CopyEngine
from qmpserver.block.node import Edge, Node
from qmpserver.block.zero_map import ZeroMap
from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.status import BlockStatus
from qmpserver.units import KiB
from qmpserver.zeroes import zero_runs

PLAIN_UNIT = 64 * KiB
"""What is looked at together for zeroes where the target has no clusters."""


class CopyFailedError(OSError):
    """A range could not be copied.

    Attributes:
        operation: `read` if the source is to blame, `write` if the target is.
    """

    def __init__(self, error: OSError, operation: str) -> None:
        super().__init__(error.errno, error.strerror)
        self.operation = operation


class RangeCopier:
    """Copies ranges of a node, as its users see it, to the same places of another.

    Args:
        source: What is read: a node, or a link that may be led to another one between two requests.
        target: What is written, likewise.
        engine: Lends the memory.
        may_unmap: Zeroes may give back the room they take in `target`.
        is_compressed: Data is stored compressed; ranges are whole clusters of `target`.

    Attributes:
        target_zeroes: What is known to be zero in `target` and need not be made so, or None.
    """

    def __init__(
        self,
        source: Node | Edge,
        target: Node | Edge,
        engine: CopyEngine | Buffers,
        *,
        may_unmap: bool,
        is_compressed: bool = False,
    ) -> None:
        self._source = source
        self._target = target
        self._engine = engine
        self._zero_flags = request_flags.MAY_UNMAP if may_unmap else 0
        self._is_compressed = is_compressed
        self.target_zeroes: ZeroMap | None = None

    async def status(self, offset: int, length: int) -> BlockStatus:
        """Say what the source holds in a range; what cannot be found out counts as data."""
        try:
            return await chain.status_above(_node(self._source), offset, length)
        except OSError:
            return BlockStatus(length, is_data=True, is_zero=False, is_allocated=True)

    async def copy(self, offset: int, length: int) -> None:
        """Make the range of the target read as that of the source does.

        Raises:
            CopyFailedError: Part of it is copied, perhaps.
        """
        while length:
            status = await self.status(offset, length)
            run = status.length
            if status.is_zero:
                await self.write_zeroes(offset, run)
            elif status.is_data:
                await self.copy_data(offset, run)
            else:
                await self._discard(offset, run)
            offset += run
            length -= run

    async def copy_data(self, offset: int, length: int) -> None:
        """Copy a range that is not known to be zero; what passes through memory does so a chunk at a time.

        Raises:
            CopyFailedError: Part of it is copied, perhaps.
        """
        if self.target_zeroes is not None:
            self.target_zeroes.note_data(offset, length)
        while length:
            done = 0 if self._is_compressed else await self._copy_by_host(offset, length)
            if not done:
                done = min(length, CHUNK)
                await self._copy_through_memory(offset, done)
            offset += done
            length -= done

    async def _copy_by_host(self, offset: int, length: int) -> int:
        # An error comes up again when the bytes are moved through memory, which tells whose it is.
        with contextlib.suppress(OSError):
            return await copy_range.copy_between(_node(self._source), _node(self._target), offset, length)
        return 0

    async def _copy_through_memory(self, offset: int, length: int) -> None:
        buffer = self._engine.buffer(length)
        try:
            with _blamed("read"):
                await self._source.pread(offset, buffer)
            with _blamed("write"):
                await self._store(offset, buffer)
        finally:
            self._engine.give_back(buffer)

    async def _store(self, offset: int, data: memoryview) -> None:
        unit = self._unit
        if self._is_compressed:
            await self._target.pwrite(offset, data, request_flags.WRITE_COMPRESSED)
            return
        if offset % unit:
            await self._target.pwrite(offset, data)
            return
        for start, length, all_zero in zero_runs(data, unit):
            if all_zero:
                await self._target.pwrite_zeroes(offset + start, length, self._zero_flags)
            else:
                await self._target.pwrite(offset + start, data[start : start + length])

    @property
    def _unit(self) -> int:
        mapping = _node(self._target).mapping
        return max(mapping.subcluster_size if mapping is not None else 0, PLAIN_UNIT)

    async def write_zeroes(self, offset: int, length: int) -> None:
        """Make a range of the target zero, unless it is known to be.

        Raises:
            CopyFailedError: Part of it is zero, perhaps.
        """
        zeroes = self.target_zeroes
        if zeroes is not None and zeroes.is_zero(offset, length):
            return
        with _blamed("write"):
            await self._target.pwrite_zeroes(offset, length, self._zero_flags)
        if zeroes is not None:
            zeroes.note_zero(offset, length)

    async def _discard(self, offset: int, length: int) -> None:
        if self.target_zeroes is not None:
            self.target_zeroes.note_data(offset, length)
        with _blamed("write"):
            await self._target.pdiscard(offset, length)


def _node(place: Node | Edge) -> Node:
    return place.node if isinstance(place, Edge) else place


@contextlib.contextmanager
def _blamed(operation: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CopyFailedError(error, operation) from error
