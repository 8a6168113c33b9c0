"""Bring metadata to the disk in an order that no crash can turn into lost data.

One commit is:

1. reference counts, refcount blocks that are new and the table that names them (with barriers between),
   and L2 tables that nothing leads to yet;
2. a barrier, which also covers the guest data that the mappings lead to;
3. L2 tables in place, and L1 entries that lead to new tables;
4. when asked for, a second barrier.

Only when a barrier has passed after step 3 are the clusters that the old mappings held counted down and
used again.  What is linked while a commit is under way waits for the next one.
"""

import asyncio
from array import array
from collections.abc import Coroutine
from typing import Any, NamedTuple

from qmpserver.drivers.qcow2.entries import COPIED, ENTRY_SIZE
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.metadata import MetadataMap
from qmpserver.drivers.qcow2.refcounts import Refcounts
from qmpserver.drivers.qcow2.tables import L2Table, L2Tables
from qmpserver.lock import Lock
from qmpserver.tasks import Pending, need_loop, spawn, step

MOST_WAITING = 50_000
"""Runs of clusters that may wait to be freed before a flush is due."""


class Unreferenced(NamedTuple):
    """Host clusters to which a reference was dropped.

    Attributes:
        offset: Host offset in bytes.
        clusters: How many.
        discard: Give the space back to the file below.
    """

    offset: int
    clusters: int
    discard: bool


class _Batch:
    """What one commit writes: the state at the moment it began."""

    __slots__ = ("freed", "tables")

    def __init__(self, freed: list[Unreferenced]) -> None:
        self.tables: list[tuple[L2Table, int, int, bytes]] = []
        self.freed = freed


def _big_endian(entries: "array[int]") -> bytes:
    swapped = array("Q", entries)
    swapped.byteswap()
    return swapped.tobytes()


class Committer:
    """Write back the metadata of one image.

    Args:
        image: The image.
        refcounts: Its reference counts.
        metadata: Where its structures are.
    """

    def __init__(self, image: Image, refcounts: Refcounts, metadata: MetadataMap) -> None:
        self._image = image
        self._refcounts = refcounts
        self._metadata = metadata
        self.tables = L2Tables(image, refcounts, metadata, self.commit)
        self._lock = Lock()
        self._unlinked: list[Unreferenced] = []
        self._awaiting_barrier: list[Unreferenced] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    def drop(self, offset: int, count: int, *, discard: bool = False) -> None:
        """Note that mappings in memory no longer refer to these host clusters."""
        if self._unlinked:
            last = self._unlinked[-1]
            if (
                last.offset + (last.clusters << self._image.cluster_bits) == offset
                and last.discard == discard
            ):
                self._unlinked[-1] = last._replace(clusters=last.clusters + count)
                return
        self._unlinked.append(Unreferenced(offset, count, discard))

    async def relieve(self) -> None:
        """Flush if what waits to be freed has become too much to remember."""
        if len(self._unlinked) + len(self._awaiting_barrier) > MOST_WAITING:
            await self.flush()

    async def commit(self) -> None:
        """Write everything that is dirty, in order.

        Raises:
            OSError: Something could not be written; it stays dirty and the image on disk is sound.
        """
        await self.run_to_end(self._locked(durable=False))

    async def flush(self) -> None:
        """Write everything that is dirty, in order, and bring it to stable storage.

        Raises:
            OSError: Something could not be written; it stays dirty and the image on disk is sound.
        """
        await self.run_to_end(self._locked(durable=True))

    async def settle(self) -> None:
        """Flush, and leave behind a file that is as long as its clusters: nobody may write to it after this.

        Raises:
            OSError: As :meth:`flush`.
        """
        await self.flush()
        await self._refcounts.trim_file()

    async def run_to_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Let `work` end even if the caller is cancelled: a write under way cannot be called back."""
        try:
            step(work)
        except Pending as pending:
            await need_loop()
            task = spawn(self._tasks, pending.rest)
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                # Nobody is left to be told of its error; what failed stays dirty and is tried again.
                task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
                raise

    async def _locked(self, *, durable: bool) -> None:
        async with self._lock:
            self._image.check_sound()
            if durable:
                await self._image.event("flush_to_os")
            if self.tables.dirty:
                await self._write_back()
            elif durable and self._refcounts.is_dirty:
                await self._write_refcounts()
            if durable:
                await self._image.event("flush_to_disk")
                await self._barrier()
                if self._refcounts.is_dirty:
                    await self._refcounts.write_blocks()

    async def _write_back(self) -> None:
        batch = self._take()
        try:
            await self._write_refcounts()
            for table, start, _, data in batch.tables:
                if table.is_new:
                    await self._image.event("l2_alloc_write")
                    await self._image.write(table.offset + start, data)
            await self._barrier()
            for table, start, _, data in batch.tables:
                if not table.is_new:
                    await self._image.event("l2_update")
                    await self._image.write(table.offset + start, data)
            await self._write_l1([table for table, *_ in batch.tables if table.is_new])
        except BaseException:
            self._put_back(batch)
            raise
        for table, *_ in batch.tables:
            table.pins -= 1
        self._awaiting_barrier += batch.freed

    def _take(self) -> _Batch:
        """Take what is dirty now, as it is now."""
        batch = _Batch(self._unlinked)
        self._unlinked = []
        for table in self.tables.dirty:
            start, end = self._image.unit_span(table.dirty_from * ENTRY_SIZE, table.dirty_to * ENTRY_SIZE)
            data = _big_endian(table.entries[start // ENTRY_SIZE : end // ENTRY_SIZE])
            batch.tables.append((table, start, end, data))
            table.dirty_from, table.dirty_to = len(table.entries), 0
            table.pins += 1
        self.tables.dirty.clear()
        return batch

    def _put_back(self, batch: _Batch) -> None:
        self._unlinked = batch.freed + self._unlinked
        for table, start, end, _ in batch.tables:
            self.tables.mark_dirty(table, start // ENTRY_SIZE, end // ENTRY_SIZE)
            table.pins -= 1

    async def _write_l1(self, tables: list[L2Table]) -> None:
        """Make L1 entries lead to tables that are on stable storage."""
        l1 = self.tables.l1
        for table in tables:
            l1[table.index] = table.offset | COPIED
        unit = self._image.write_unit
        for part in sorted({table.index * ENTRY_SIZE // unit for table in tables}):
            first = part * unit // ENTRY_SIZE
            data = _big_endian(l1[first : first + unit // ENTRY_SIZE])
            await self._image.event("l1_update")
            await self._image.write(self._image.header.l1_offset + part * unit, data)
        for table in tables:
            table.is_new = False
            if table.replaces:
                self._metadata.remove(table.replaces, self._image.cluster_size)
                discard = self._image.runtime.discard_other
                self._awaiting_barrier.append(Unreferenced(table.replaces, 1, discard=discard))
                table.replaces = 0

    async def _write_refcounts(self) -> None:
        """Write reference counts; they may be durable before what they count, but not after."""
        refcounts = self._refcounts
        async with refcounts.lock:
            if refcounts.new_blocks:
                await self._image.event("refblock_alloc_write")
            if refcounts.planned_table is not None:
                await self._image.event("refblock_alloc_write_blocks")
            await refcounts.write_blocks_locked()
            if not refcounts.new_blocks and refcounts.planned_table is None:
                return
            await self._image.child.flush()
            if refcounts.planned_table is None:
                await self._name_blocks()
            else:
                await self._move_table(*refcounts.planned_table)
            refcounts.new_blocks.clear()
            refcounts.planned_table = None

    async def _name_blocks(self) -> None:
        table, unit = self._refcounts.table, self._image.write_unit
        for index, offset in self._refcounts.new_blocks.items():
            table[index] = offset
        for part in sorted({index * ENTRY_SIZE // unit for index in self._refcounts.new_blocks}):
            first = part * unit // ENTRY_SIZE
            data = _big_endian(table[first : first + unit // ENTRY_SIZE])
            await self._image.event("refblock_alloc_hookup")
            await self._image.write(self._image.header.reftable_offset + part * unit, data)

    async def _move_table(self, offset: int, clusters: int) -> None:
        """Write the refcount table where there is more room, then make the header lead there."""
        image, refcounts = self._image, self._refcounts
        table = array("Q", bytes(clusters * image.cluster_size))
        table[: len(refcounts.table)] = refcounts.table
        for index, block in refcounts.new_blocks.items():
            table[index] = block
        await image.event("refblock_alloc_write_table")
        await image.write(offset, _big_endian(table))
        await image.child.flush()
        await image.event("refblock_alloc_switch_table")
        old = image.header
        await image.update_header(reftable_offset=offset, reftable_clusters=clusters)
        refcounts.table = table
        self._metadata.remove(old.reftable_offset, old.reftable_clusters * image.cluster_size)
        freed = Unreferenced(old.reftable_offset, old.reftable_clusters, image.runtime.discard_other)
        self._awaiting_barrier.append(freed)

    async def _barrier(self) -> None:
        """Bring everything written so far to stable storage; then free what it no longer refers to."""
        settled = self._awaiting_barrier
        self._awaiting_barrier = []
        try:
            await self._image.flush()
        except BaseException:
            self._awaiting_barrier = settled + self._awaiting_barrier
            raise
        for offset, count, discard in settled:
            await self._refcounts.release(offset, count, discard=discard)

    async def close(self) -> None:
        """Flush, and wait for what cancelled callers left behind."""
        try:
            if self._image.writable and not self._image.broken:
                await self.settle()
        finally:
            if self._tasks:
                await asyncio.gather(*self._tasks, return_exceptions=True)
