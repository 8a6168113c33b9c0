"""Store in an image what it shows of its old backing file and would no longer show over a new one.

The image stays as it is, and over its old backing file shows what it showed, at every instant: an interrupted
run has done no harm.
"""

from qmpserver.block import chain
from qmpserver.block.copy import CHUNK, CopyEngine
from qmpserver.block.node import Node
from qmpserver.block.range_copy import CopyFailedError, RangeCopier
from qmpserver.cli.command_line import Failure
from qmpserver.cli.img.progress import Progress
from qmpserver.driver_api import flags as request_flags
from qmpserver.errors import error_text
from qmpserver.units import GiB, KiB, align_down, align_up
from qmpserver.zeroes import is_zero

_LOOK_AHEAD = 1 * GiB
"""Bytes that the images' tables are asked about at once."""

_LEAST = 64 * KiB
"""What is compared and stored as one, at least."""


class Rebasing:
    """Goes through an image and both of its backing files, the old and the new.

    Args:
        top: The image, over its old backing file.
        new: The new one, or None for none.
        progress: Told how much is done.
        is_compressed: What is stored is stored compressed.
    """

    def __init__(self, top: Node, new: Node | None, progress: Progress, *, is_compressed: bool) -> None:
        self._top = top
        self._new = new
        self._progress = progress
        self._flags = request_flags.WRITE_COMPRESSED if is_compressed else 0
        mapping = top.mapping
        self._unit = (
            1 if mapping is None else mapping.cluster_size if is_compressed else mapping.subcluster_size
        )
        self._engine = CopyEngine(self._copy, self._on_copied)
        self._error: OSError | None = None
        self._buffers = (memoryview(bytearray(CHUNK)), memoryview(bytearray(CHUNK)))

    async def run(self, above_new: str | None) -> None:
        """Store all that is needed.

        Args:
            above_new: The layer right above the new backing file, where that is in the chain already; only what
                the layers down to this one hold can differ.

        Raises:
            Failure: Something could not be read or written; the image shows what it showed.
        """
        size, offset = self._top.size, 0
        while offset < size:
            length = min(size - offset, _LOOK_AHEAD)
            try:
                is_needed, length = await self._look_at(above_new, offset, length)
            except OSError as error:
                raise Failure(f"error while reading image metadata: {error_text(error)}") from error
            if is_needed:
                await self._compare(offset, length)
            offset += length
            self._progress.show(offset, size)
        await self._settle()

    async def _look_at(self, above_new: str | None, offset: int, length: int) -> tuple[bool, int]:
        """Say whether what begins at `offset` may differ, and for how many bytes that holds."""
        is_held, length = await chain.is_allocated(self._top, offset, length)
        below = chain.skip_filters(self._top).backing
        if is_held:
            return False, length
        if above_new is not None and below is not None and below is not self._new:
            is_held, length = await chain.is_allocated_down_to(below, above_new, offset, length)
            if not is_held:
                return False, length
        elif below is not None and below is self._new:
            return False, length
        return True, length

    async def _compare(self, offset: int, length: int) -> None:
        """Store of a range that the image does not hold whatever the new backing file shows otherwise."""
        end = offset + length
        while offset < end:
            try:
                old = await chain.status_above(self._top, offset, end - offset)
                run = old.length
                new_is_zero, run = await self._new_is_zero(offset, run)
            except OSError as error:
                raise Failure(f"error while reading image metadata: {error_text(error)}") from error
            if old.is_zero and new_is_zero:
                offset += run
                continue
            stop = min(align_down(offset, CHUNK) + CHUNK, offset + run)
            if new_is_zero and not self._flags:
                # Nothing need be compared, so several pieces can be on their way.
                await self._engine.submit(offset, stop - offset)
            else:
                await self._settle()
                await self._compare_piece(offset, stop - offset, is_zero_now=old.is_zero)
            if self._error is not None:
                await self._settle()
            self._progress.show(stop, self._top.size)
            offset = stop

    async def _copy(self, offset: int, length: int) -> None:
        """Store a piece of the old backing file as it is."""
        old = chain.skip_filters(self._top).backing
        assert old is not None
        copier = RangeCopier(old, self._top, self._engine, may_unmap=False)
        await copier.copy_data(offset, length)

    def _on_copied(self, _offset: int, _length: int, error: OSError | None) -> None:
        self._error = self._error or error

    async def _settle(self) -> None:
        """Wait until nothing is on its way.

        Raises:
            Failure: Something did not arrive.
        """
        await self._engine.settle()
        if self._error is None:
            return
        is_read = isinstance(self._error, CopyFailedError) and self._error.operation == "read"
        what = "error while reading from old backing file" if is_read else "Error while writing to COW image"
        raise Failure(f"{what}: {error_text(self._error)}") from self._error

    async def _new_is_zero(self, offset: int, length: int) -> tuple[bool, int]:
        new = self._new
        if new is None or offset >= new.size:
            return True, length
        status = await chain.status_above(new, offset, min(length, new.size - offset))
        return status.is_zero, status.length

    async def _compare_piece(self, offset: int, length: int, *, is_zero_now: bool) -> None:
        old, new = (buffer[:length] for buffer in self._buffers)
        await _read(self._top, offset, old, "old")
        if self._new is not None:
            await _read(self._new, offset, new, "new")
        else:
            new[:] = bytes(length)
        if bytes(old) == bytes(new):
            return
        end, start = offset + length, offset
        while start < end:
            stop = min(align_down(start, self._unit) + max(self._unit, _LEAST), end)
            part = slice(start - offset, stop - offset)
            if bytes(old[part]) != bytes(new[part]):
                await self._store(start, old[part], is_zero_now=is_zero_now)
            start = stop

    async def _store(self, offset: int, data: memoryview, *, is_zero_now: bool) -> None:
        try:
            if is_zero_now or is_zero(data):
                await self._top.pwrite_zeroes(offset, len(data))
                return
            if self._flags:
                offset, data = await self._whole_cluster(offset, data)
            await self._top.pwrite(offset, data, self._flags)
        except OSError as error:
            raise Failure(f"Error while writing to COW image: {error_text(error)}") from error

    async def _whole_cluster(self, offset: int, data: memoryview) -> tuple[int, memoryview]:
        """Return all that the image shows of the clusters that a piece lies in: only whole ones are compressed."""
        start = align_down(offset, self._unit)
        end = min(align_up(offset + len(data), self._unit), self._top.size)
        if (start, end) == (offset, offset + len(data)):
            return offset, data
        whole = memoryview(bytearray(end - start))
        await self._top.pread(start, whole)
        return start, whole


async def _read(node: Node, offset: int, into: memoryview, which: str) -> None:
    """Read what a node shows; past its end that is zeroes."""
    try:
        await node.pread(offset, into)
    except OSError as error:
        raise Failure(f"error while reading from {which} backing file: {error_text(error)}") from error
