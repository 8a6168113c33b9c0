"""The random life of one qcow2 image: everything that can be done to it, in one run, done to a plain model too."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, NamedTuple

from qmpserver.block.bits import Bits
from qmpserver.driver_api.bitmaps import StoredBitmap
from qmpserver.driver_api.extras import CheckMode, SnapshotInfo
from qmpserver.driver_api.mapping import MappingKind
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.surroundings import Surroundings
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.errors import QMPError
from tests.contract.engine import Context, Engine
from tests.torture.files import ImageFiles
from tests.torture.ledger import SECTOR, Fact, Sectors

KiB = 1024
SIZE = 256 * KiB
LARGEST = 2 * SIZE
GRANULARITY = 512
SECRETS = {"s": b"first", "t": b"second", "u": b"third"}
AROUND = Surroundings(secret=SECRETS.__getitem__)


class Kept(NamedTuple):
    """A snapshot: what the disk held, and the machine's state."""

    disk: bytes
    state: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """One opening of the image."""

    context: Context
    driver: Qcow2Driver
    engine: Engine


class Life:
    """One image, and what it may be found to hold.

    Args:
        options: How to create it; `data-file` and `backing-file` say only that there is to be one.
        seed: What its life is made from.

    Attributes:
        size: The disk's size.
        sectors: Its content.
        snapshots: The snapshots, by their ids.
        bitmaps: The stored bitmaps: the bits set, or None for one that says it is in use.
        keys: The ids of the secrets that open the image.
    """

    def __init__(self, options: dict[str, Any], seed: int) -> None:
        self.rng = random.Random(seed)
        self.options = {"size": SIZE, **options}
        backing = self.rng.randbytes(SIZE - 16 * SECTOR) if "backing-file" in options else None
        self.files = ImageFiles(is_external="data-file" in options, backing=backing)
        self.sectors = Sectors((backing or b"").ljust(LARGEST, b"\0"))
        self.size = Fact(SIZE)
        self.snapshots: Fact[dict[str, Kept]] = Fact({})
        self.bitmaps: Fact[dict[str, frozenset[int] | None]] = Fact({})
        self.method = {"luks": "luks", "qcow": "aes"}.get(options.get("encrypt", {}).get("format"), "")
        self.keys = Fact(frozenset("s" if self.method else ""))
        self.opened: Opened
        self.done: list[str] = []
        """What was done, for whoever looks into a failure."""

    @property
    def time(self) -> int:
        return self.files.time

    async def create(self) -> None:
        """Make the image; from then on the power may go."""
        options = dict(self.options)
        if "data-file" in options:
            options["data-file"] = self.files.files["data-file"]
        await Qcow2Driver.create(self.files.files["file"], options, SECRETS.__getitem__)
        self.files.begin(yields=self.rng.random() < 0.7)

    def context(self, files: ImageFiles, key: str | None = None, **more: Any) -> Context:
        """Return what a driver that opens such files is told."""
        runtime = dict(more.pop("options", {}))
        if self.method:
            runtime["encrypt"] = {"format": self.method, "key-secret": key or min(self.keys.now)}
        return Context(files.children, options=runtime, surroundings=AROUND, **more)

    # Living

    async def run(self, steps: int) -> None:
        """Do so many things to the image, and close it."""
        await self._open()
        for _ in range(steps):
            await self._step()
        await self._compare()
        await self._close()

    async def _step(self) -> None:
        names, weights = zip(*WHAT.items(), strict=True)
        name = self.rng.choices(names, weights)[0]
        self.done.append(f"{self.time}: {name}")
        await getattr(self, f"_{name}")()

    async def _open(self) -> None:
        runtime = self.rng.choice(RUNTIME if self._version > 2 else RUNTIME[:1])
        context = self.context(self.files, discard=self.rng.random() < 0.5, options=runtime)
        in_use = dict.fromkeys(self.bitmaps.now)
        self.bitmaps.begin(self.time, in_use)
        driver = await Qcow2Driver.open(context)
        self.bitmaps.settle(self.time, in_use)
        backing = self.files.backing if driver.backing_filename else None
        self.opened = Opened(context, driver, Engine(driver, backing))

    @property
    def _version(self) -> int:
        return int.from_bytes(self.files.files["file"].data[4:8], "big")

    async def _close(self) -> None:
        await self._store_bitmaps()
        await self._flushing(self.opened.driver.close())

    async def _reopen(self) -> None:
        await self._compare()
        await self._close()
        await self._open()
        await self._compare()

    async def _compare(self) -> None:
        """See whether the disk reads as the model says."""
        assert await self.opened.engine.read(0, self._now) == self.sectors.now[: self._now]

    async def _flushing(self, work: Awaitable[object]) -> None:
        """Do something after which everything that was written before is certain."""
        covered = self.sectors.covered
        await work
        self.sectors.flushed(covered, self.time)

    async def _flush(self) -> None:
        await self._flushing(self.opened.driver.flush())

    # Guest requests

    @property
    def _now(self) -> int:
        return self.opened.driver.size

    def _range(self, most: int) -> tuple[int, int]:
        offset = self.rng.randrange(self._now // SECTOR) * SECTOR
        return offset, min(self.rng.randrange(SECTOR, most, SECTOR), self._now - offset)

    def _pattern(self, length: int) -> bytes:
        return b"".join(bytes([self.rng.randrange(1, 256)]) * SECTOR for _ in range(length // SECTOR))

    async def _write_at(self, offset: int, data: bytes) -> None:
        self.sectors.change(self.time, offset, data)
        await self.opened.engine.write(offset, data)

    async def _write(self) -> None:
        offset, length = self._range(SIZE // 8)
        await self._write_at(offset, self._pattern(length))

    async def _write_compressed(self) -> None:
        if "data-file" in self.options:
            return
        offset, length = self.opened.engine.whole_clusters(*self._range(SIZE // 8))
        if length:
            data = self._pattern(length)
            self.sectors.change(self.time, offset, data)
            await self.opened.engine.write_compressed(offset, data)

    async def _many_writes(self) -> None:
        area = self._now // 8 // SECTOR
        starts = [(part * area + self.rng.randrange(max(area // 2, 1))) * SECTOR for part in range(8)]
        most = max(min(8, area // 2), 1)
        writes = [
            self._write_at(start, self._pattern(self.rng.randint(1, most) * SECTOR)) for start in starts
        ]
        await asyncio.gather(*writes, self.opened.driver.flush())

    async def _zero(self) -> None:
        offset, length = self.opened.engine.whole_parts(*self._range(SIZE // 4))
        if length:
            self.sectors.change(self.time, offset, bytes(length))
            await self.opened.engine.zero(offset, length, may_unmap=self.rng.random() < 0.5)

    async def _discard(self) -> None:
        offset, length = self.opened.engine.whole_clusters(*self._range(SIZE // 4))
        if length:
            self.sectors.change(self.time, offset, bytes(length))
            if not await self.opened.engine.discard(offset, length):
                await self.opened.engine.write(offset, bytes(length))

    # Snapshots

    async def _create_snapshot(self) -> None:
        driver = self.opened.driver
        if not driver.can_hold_snapshots:
            return
        state = self.rng.randbytes(self.rng.choice((0, 0, 700, 9000)))
        if state:
            await driver.write_vm_state(0, memoryview(state))
        disk = await self.opened.engine.read(0, self._now)
        number = str(max(map(int, self.snapshots.now), default=0) + 1)
        more = {**self.snapshots.now, number: Kept(disk, state)}
        self.snapshots.begin(self.time, more)
        wanted = SnapshotInfo(number, "taken", vm_state_size=len(state))
        try:
            await self._flushing(driver.create_snapshot(wanted))
        except OSError:
            more = self.snapshots.now
        self.snapshots.settle(self.time, more)

    async def _apply_snapshot(self) -> None:
        if self.snapshots.now:
            number = self.rng.choice(list(self.snapshots.now))
            disk = self.snapshots.now[number].disk
            now = await self.opened.engine.read(0, self._now)
            self.sectors.change(self.time, 0, disk.ljust(LARGEST, b"\0"))
            self.size.begin(self.time, len(disk))
            try:
                await self._flushing(self.opened.driver.apply_snapshot(number, None))
            except OSError:
                # Some clusters would be counted more often than the width of the counts allows.
                self.sectors.change(self.time, 0, now.ljust(LARGEST, b"\0"))
            self.size.settle(self.time, self._now)

    async def _delete_snapshot(self) -> None:
        if self.snapshots.now:
            number = self.rng.choice(list(self.snapshots.now))
            fewer = {key: kept for key, kept in self.snapshots.now.items() if key != number}
            self.snapshots.begin(self.time, fewer)
            await self._flushing(self.opened.driver.delete_snapshot(number, None))
            self.snapshots.settle(self.time, fewer)

    # Bitmaps

    async def _store_bitmaps(self) -> None:
        driver = self.opened.driver
        names = [name for name in self.bitmaps.now if self.rng.random() < 0.7]
        if self.rng.random() < 0.4:
            names.append(self.rng.choice("abcd"))
        if not names or self._version < 3:
            return
        length = driver.size // GRANULARITY
        rows, wanted = [], dict(self.bitmaps.now)
        for name in dict.fromkeys(names):
            marked = frozenset(self.rng.sample(range(length), self.rng.randrange(min(length, 60))))
            bits = Bits(length)
            for bit in marked:
                bits.set(bit, bit + 1)
            rows.append((StoredBitmap(name, GRANULARITY, True), bits))
            wanted[name] = marked
        self.bitmaps.begin(self.time, wanted)
        await driver.store_bitmaps(rows)
        self.bitmaps.settle(self.time, wanted)

    async def _remove_bitmap(self) -> None:
        if self.bitmaps.now:
            name = self.rng.choice(list(self.bitmaps.now))
            fewer = {key: bits for key, bits in self.bitmaps.now.items() if key != name}
            self.bitmaps.begin(self.time, fewer)
            await self.opened.driver.remove_bitmap(name)
            self.bitmaps.settle(self.time, fewer)

    # The image as a whole

    async def _resize(self) -> None:
        size = self.rng.randrange(SIZE // 2, LARGEST, SECTOR)
        if size == self._now:
            return
        mode = Preallocation.OFF
        if size > self._now:
            mode = self.rng.choice(list(Preallocation))
        else:
            self.sectors.change(self.time, size, bytes(LARGEST - size))
        self.size.begin(self.time, size)
        try:
            await self._flushing(self.opened.driver.truncate(size, mode))
        except QMPError:
            kept = await self.opened.engine.read(size, max(self._now - size, 0))
            self.sectors.change(self.time, size, kept)
        self.size.settle(self.time, self._now)

    async def _stream(self) -> None:
        """Copy up what only the backing file holds, and then name none."""
        driver, engine = self.opened.driver, self.opened.engine
        if engine.backing is None or self.snapshots.now:
            # What a snapshot lacks shows through to the backing file, too.
            return
        offset = 0
        while offset < self._now:
            mapping = await driver.map(offset, self._now - offset)
            if mapping.kind is MappingKind.BACKING:
                data = await engine.read(offset, mapping.length)
                await engine.write(offset, data)
            offset += mapping.length
        await self._flushing(driver.change_backing_file(None, None))
        engine.backing = None
        del self.opened.context.children["backing"]

    async def _make_empty(self) -> None:
        backing = self.opened.engine.backing
        shown = b"" if backing is None else bytes(self.files.backing.data) if self.files.backing else b""
        self.sectors.change(self.time, 0, shown[: self._now].ljust(LARGEST, b"\0"))
        await self._flushing(self.opened.driver.make_empty())

    async def _amend(self) -> None:
        wanted = self.rng.choice(AMENDMENTS)
        with contextlib.suppress(QMPError, OSError):
            await self._flushing(self.opened.driver.amend(wanted, SECRETS.__getitem__))

    async def _change_keys(self) -> None:
        if self.method != "luks":
            return
        now = self.keys.now
        key = self.rng.choice("stu")
        slot = {"keyslot": self.rng.choice((5, 6, 7))} if self.rng.random() < 0.5 else {}
        if key not in now:
            then = now | {key}
            change = {"state": "active", "new-secret": key, "iter-time": 0, "secret": min(now), **slot}
        elif len(now) > 1:
            then = now - {key}
            change = {"state": "inactive", "old-secret": key}
        else:
            return
        self.keys.begin(self.time, then)
        change["format"] = "luks"
        try:
            await self.opened.driver.amend({"encrypt": change}, SECRETS.__getitem__)
        except QMPError:
            then = now
        self.keys.settle(self.time, then)

    async def _repair(self) -> None:
        found = await self.opened.driver.check(self.rng.choice((CheckMode.LEAKS, CheckMode.ALL)))
        assert (found.corruptions, found.leaks, found.check_errors) == (0, 0, 0), found


WHAT: dict[str, int] = {
    "write": 20, "write_compressed": 8, "many_writes": 8, "zero": 7, "discard": 7, "flush": 12,
    "create_snapshot": 4, "apply_snapshot": 3, "delete_snapshot": 3, "resize": 5, "make_empty": 1,
    "stream": 1, "amend": 3, "change_keys": 4, "remove_bitmap": 2, "repair": 1, "reopen": 6,
}  # fmt: skip
"""What may be done, and how often."""

RUNTIME: list[dict[str, Any]] = [
    {},
    {"discard-no-unref": True},
    {"pass-discard-other": True, "l2-cache-size": 0, "refcount-cache-size": 0},
]
"""Options that it is opened with."""

AMENDMENTS: list[dict[str, Any]] = [
    {"version": "v2", "lazy-refcounts": False},
    {"version": "v3"},
    {"refcount-bits": 16},
    {"refcount-bits": 64},
    {"refcount-bits": 8},
    {"refcount-bits": 2},
    {"refcount-bits": 1},
    {"lazy-refcounts": True},
    {"lazy-refcounts": False},
    {"data-file-raw": False},
]
"""What may be amended; what does not go at the time is refused."""
