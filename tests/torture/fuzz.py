"""Change fields of images to values that hurt, and use the images in every way there is."""

import asyncio
import random
import struct
from collections.abc import Awaitable
from typing import Any

from qmpserver.block.bits import Bits
from qmpserver.driver_api.bitmaps import StoredBitmap
from qmpserver.driver_api.extras import CheckMode, SnapshotInfo
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.errors import QMPError
from tests.contract.engine import Engine, MemoryFile
from tests.torture.fields import Field, ImageFields
from tests.torture.specimens import SECRETS, SIZE, Specimen

MARK = b"\xa7\x7a\xc3\x3c" * 128
"""A sector of what the guest writes, unlike anything that a driver writes by itself."""
HARMLESS = {"refcount table", "refcount block", "snapshot table", "snapshot L1 table", "bitmap directory",
            "bitmap table"}  # fmt: skip
"""Structures that say nothing of what the disk holds."""
_MOST_ITERATIONS = 1 << 16


class Mutation:
    """One image with some fields changed.

    Args:
        specimen: The good image.
        fields: Its fields.
        rng: Decides what is changed.
    """

    def __init__(self, specimen: Specimen, fields: ImageFields, rng: random.Random) -> None:
        self.specimen = specimen
        self.data = bytearray(specimen.files["file"])
        self.changed: list[tuple[Field, int, int]] = []
        self._fields = fields
        self._rng = rng
        structures = fields.structures()
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            self._change(rng.choice(structures[rng.choice(list(structures))]))

    def _change(self, field: Field) -> None:
        if field.offset + field.bits // 8 > len(self.data):
            return
        (old,) = struct.unpack_from(f">{field.code}", self.data, field.offset)
        new = self._value(old, field) & (1 << field.bits) - 1
        if field.structure == "LUKS header" and field.name == "iterations":
            # A header may ask for hours of work; that is not damage.
            new %= _MOST_ITERATIONS
        struct.pack_into(f">{field.code}", self.data, field.offset, new)
        self.changed.append((field, old, new))

    def _value(self, old: int, field: Field) -> int:
        rng, size = self._rng, self._fields.cluster_size
        clusters = len(self.data) // size + 3
        return rng.choice(
            (
                0, 1, (1 << field.bits) - 1, 1 << rng.randrange(field.bits), old ^ 1 << rng.randrange(field.bits),
                old + 1, old - 1, old + 512, old + size, old * 2, rng.getrandbits(field.bits),
                rng.randrange(clusters) * size, 1 << 63 | rng.randrange(clusters) * size,
                1 << 62 | rng.randrange(len(self.data)), rng.choice(self._fields.all).offset,
            )
        )  # fmt: skip

    @property
    def is_harmless(self) -> bool:
        """The disk's content is what it was."""
        return all(field.structure in HARMLESS for field, *_ in self.changed)

    def __str__(self) -> str:
        changes = [
            f"{f.structure} {f.name} at {f.offset:#x}: {old:#x} -> {new:#x}" for f, old, new in self.changed
        ]
        return f"{self.specimen.options}: {'; '.join(changes)}"


class Use:
    """Everything that can be done with an image; only errors that have a name may come out.

    Args:
        mutation: The image.
        rng: Decides what is done.
    """

    def __init__(self, mutation: Mutation, rng: random.Random) -> None:
        self._mutation = mutation
        self._specimen = mutation.specimen
        self._rng = rng
        self.errors = 0
        """How many errors with a name there were."""
        self.nameless = 0
        """How many errors without one."""

    async def look(self) -> None:
        """Open it read-only, and look at everything."""
        children = self._specimen.children(file=self._mutation.data)
        driver = await self._try(Qcow2Driver.open(self._specimen.context(children, read_only=True)))
        if driver is not None:
            driver.image_info()
            for snapshot in driver.snapshots[:5]:
                state = memoryview(bytearray(min(snapshot.vm_state_size, 10000)))
                await self._try(driver.read_snapshot_vm_state(snapshot.snapshot_id, 0, state))
            await self._load_bitmaps(driver)
            await self._try(driver.has_unwritten_data())
            await self._map(driver)
            await self._read(Engine(driver, children.get("backing")))
            if driver.snapshots and await self._try(driver.load_snapshot(None, "one")) is None:
                await self._map(driver)
            await self._try(driver.close())
        file = children["file"]
        assert isinstance(file, MemoryFile)
        assert not file.log, "a read-only image was written to"

    async def _try(self, work: Awaitable[Any]) -> Any:
        try:
            return await work
        except (OSError, QMPError) as error:
            self.errors += 1
            self.nameless += not str(error)
            return None

    async def _load_bitmaps(self, driver: Qcow2Driver) -> None:
        for one in driver.stored_bitmaps:
            if not one.is_in_use:
                await self._try(driver.load_bitmap(one.name, Bits(-(-driver.size // one.granularity))))

    async def _map(self, driver: Qcow2Driver) -> None:
        offset = 0
        while offset < min(driver.size, SIZE):
            length = min(driver.size, SIZE) - offset
            mapping = await self._try(driver.map(offset, length))
            assert mapping is None or 0 < mapping.length <= length
            offset += mapping.length if mapping is not None else driver.cluster_size

    async def _read(self, engine: Engine) -> None:
        size, part = min(engine.driver.size, SIZE), 32 << 10
        for offset in range(0, size, part):
            got = await self._try(engine.read(offset, min(part, size - offset)))
            if got is not None and self._mutation.is_harmless:
                assert got == self._specimen.guest[offset : offset + part], "the disk reads as something else"

    async def change(self) -> None:
        """Open it to be written, and do everything to it."""
        children = self._specimen.children(file=self._mutation.data)
        context = self._specimen.context(children, discard=True)
        driver = await self._try(Qcow2Driver.open(context))
        if driver is None:
            return
        engine = Engine(driver, children.get("backing"))
        file = children["file"]
        assert isinstance(file, MemoryFile)
        await self._write_safely(engine, driver, file)
        actions = [self._write, self._compress, self._discard, self._zero, self._snapshot, self._bitmaps]
        actions += [self._resize, self._amend, self._check]
        self._rng.shuffle(actions)
        for action in actions:
            await action(engine, driver)
        await self._try(driver.close())

    async def _write_safely(self, engine: Engine, driver: Qcow2Driver, file: MemoryFile) -> None:
        """Write, and see to it that no guest data goes over a structure.

        Only writes before the first flush are looked at: later a structure may have moved.
        """
        file.log.clear()
        size, guarded = guarded_clusters(file.data)
        await self._write(engine, driver)
        await self._compress(engine, driver)
        if self._specimen.method or "data-file" in self._specimen.options:
            return
        for entry in file.log:
            if entry[0] == "flushed":
                break
            if entry[0] == "write" and MARK[:64] in entry[2]:
                clusters = range(entry[1] // size, (entry[1] + len(entry[2]) - 1) // size + 1)
                hit = guarded.intersection(clusters)
                assert not hit, f"guest data was written over structures: clusters {sorted(hit)[:5]}"

    def _offset(self, engine: Engine) -> int:
        return self._rng.randrange(max(min(engine.driver.size, SIZE) // 512, 1)) * 512

    async def _write(self, engine: Engine, _driver: Qcow2Driver) -> None:
        for _ in range(12):
            offset = self._offset(engine)
            length = min(self._rng.choice((512, 4096, 65536)), engine.driver.size - offset)
            if length > 0:
                await self._try(engine.write(offset, (MARK * (length // 512 + 1))[:length]))

    async def _compress(self, engine: Engine, driver: Qcow2Driver) -> None:
        offset, length = engine.whole_clusters(self._offset(engine), 3 * driver.cluster_size)
        if length > 0 and offset + length <= driver.size:
            await self._try(engine.write_compressed(offset, MARK * (length // 512)))

    async def _discard(self, engine: Engine, _driver: Qcow2Driver) -> None:
        offset, length = engine.whole_clusters(self._offset(engine), 70000)
        if length > 0:
            await self._try(engine.discard(offset, min(length, engine.driver.size - offset)))

    async def _zero(self, engine: Engine, _driver: Qcow2Driver) -> None:
        offset, length = engine.whole_parts(self._offset(engine), 70000)
        length = min(length, engine.driver.size - offset)
        if length > 0:
            await self._try(engine.zero(offset, length, may_unmap=self._rng.random() < 0.5))

    async def _snapshot(self, _engine: Engine, driver: Qcow2Driver) -> None:
        await self._try(driver.write_vm_state(0, memoryview(b"\x99" * 700)))
        await self._try(driver.create_snapshot(SnapshotInfo("", "new", vm_state_size=700)))
        await self._try(driver.apply_snapshot(None, self._rng.choice(("one", "two", "new"))))
        await self._try(driver.delete_snapshot(None, self._rng.choice(("one", "two", "new"))))

    async def _bitmaps(self, _engine: Engine, driver: Qcow2Driver) -> None:
        await self._load_bitmaps(driver)
        wanted = StoredBitmap(self._rng.choice(("fine", "new")), 65536, True)
        if await self._try(_call(driver.check_new_bitmap, wanted, [])) is None and driver.size < 1 << 30:
            bits = Bits(-(-driver.size // 65536))
            bits.set(0, min(3, bits.length))
            await self._try(driver.store_bitmaps([(wanted, bits)]))
        await self._try(driver.remove_bitmap("coarse"))

    async def _resize(self, _engine: Engine, driver: Qcow2Driver) -> None:
        await self._try(driver.truncate(self._rng.choice((SIZE // 2, SIZE + 512, 2 * SIZE))))

    async def _amend(self, _engine: Engine, driver: Qcow2Driver) -> None:
        wanted = self._rng.choice(({"refcount-bits": 32}, {"version": "v2"}, {"lazy-refcounts": True}))
        await self._try(driver.amend(dict(wanted), SECRETS.__getitem__))

    async def _check(self, _engine: Engine, driver: Qcow2Driver) -> None:
        await self._try(driver.check(self._rng.choice(list(CheckMode))))

    async def repair(self) -> None:
        """Check it, repair it, and check that what was repaired is sound."""
        children = self._specimen.children(file=self._mutation.data)
        for fix in (CheckMode.NONE, CheckMode.LEAKS, CheckMode.ALL):
            context = self._specimen.context(children, read_only=fix is CheckMode.NONE)
            driver = await self._try(Qcow2Driver.open_for_check(context))
            if driver is not None:
                await self._try(driver.check(fix))
        if self._mutation.is_harmless:
            driver = await self._try(Qcow2Driver.open(self._specimen.context(children, read_only=True)))
            if driver is not None:
                await self._read(Engine(driver, children.get("backing")))


async def _call(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


def guarded_clusters(data: bytes | bytearray) -> tuple[int, set[int]]:
    """Return the cluster size, and the clusters that hold header, L1, L2 and refcount structures."""
    (bits,) = struct.unpack_from(">I", data, 20)
    l1_entries, l1_offset, table_offset, table_clusters = struct.unpack_from(">IQQI", data, 36)
    if not 9 <= bits <= 21:
        return 1, set()
    size, found = 1 << bits, {0}

    def add(offset: int, length: int) -> None:
        if offset < len(data):
            found.update(range(offset >> bits, (min(offset + length, len(data)) - 1 >> bits) + 1))

    add(l1_offset, l1_entries * 8)
    add(table_offset, table_clusters * size)
    masks = {l1_offset: 0x00FF_FFFF_FFFF_FE00, table_offset: 0xFFFF_FFFF_FFFF_FE00}
    for table, length in ((l1_offset, l1_entries * 8), (table_offset, table_clusters * size)):
        for at in range(table, min(table + length, len(data) - 7), 8):
            offset = int.from_bytes(data[at : at + 8], "big") & masks[table]
            if offset and offset % size == 0:
                add(offset, size)
    return size, found


def fuzz(specimen: Specimen, fields: ImageFields, seed: str) -> int:
    """Change something in an image and use it; return how many errors with a name there were.

    Raises:
        AssertionError: It did harm; a note says what had been changed.
    """
    rng = random.Random(seed)
    mutation = Mutation(specimen, fields, rng)
    use = Use(mutation, rng)

    async def run() -> None:
        await use.look()
        await use.change()
        await use.repair()
        assert not use.nameless

    try:
        asyncio.run(run())
    except BaseException as error:
        error.add_note(f"seed {seed}: {mutation}")
        raise
    return use.errors
