"""Cut the power in an image's life, and judge what is left."""

import asyncio
import random
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from qmpserver.block.bits import Bits
from qmpserver.driver_api.extras import CheckMode
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.errors import QMPError
from tests.contract.engine import Engine
from tests.images import judge
from tests.torture.files import ImageFiles
from tests.torture.ledger import SECTOR
from tests.torture.life import GRANULARITY, SECRETS, Kept, Life
from tests.torture.peer import qemu_check

LUKS = {"format": "luks", "key-secret": "s", "iter-time": 0, "cipher-alg": "aes-128"}
AES = {"format": "qcow", "key-secret": "s"}

KINDS: list[dict[str, Any]] = [
    {"cluster-size": 512},
    {"cluster-size": 512, "refcount-bits": 64, "lazy-refcounts": True},
    {"cluster-size": 1024, "refcount-bits": 1, "backing-file": "base"},
    {"cluster-size": 1024, "version": "v2", "backing-file": "base", "backing-fmt": "raw"},
    {"cluster-size": 2048, "refcount-bits": 4, "compression-type": "zstd"},
    {"cluster-size": 4096, "backing-file": "base", "backing-fmt": "raw"},
    {"cluster-size": 4096, "refcount-bits": 8, "preallocation": "metadata"},
    {"cluster-size": 65536, "version": "v2"},
    {"cluster-size": 16384, "extended-l2": True},
    {"cluster-size": 16384, "extended-l2": True, "backing-file": "base", "preallocation": "metadata"},
    {"cluster-size": 4096, "data-file": True, "refcount-bits": 32},
    {"cluster-size": 4096, "data-file": True, "data-file-raw": True},
    {"cluster-size": 16384, "data-file": True, "extended-l2": True, "backing-file": "base"},
    {"cluster-size": 4096, "encrypt": LUKS, "backing-file": "base"},
    {"cluster-size": 16384, "encrypt": LUKS, "extended-l2": True},
    {"cluster-size": 4096, "encrypt": LUKS, "data-file": True},
    {"cluster-size": 4096, "encrypt": LUKS, "data-file": True, "data-file-raw": True},
    {"cluster-size": 1024, "encrypt": AES, "version": "v2"},
]
"""Images to torture, each unlike the others in several ways."""


class Judgement:
    """Looks at what one power cut has left.

    Args:
        life: What had happened.
        cut: When the power went.
        left: The files as they are now.

    Attributes:
        key: The id of a secret that opens the image.
    """

    def __init__(self, life: Life, cut: int, left: ImageFiles) -> None:
        self._life = life
        self._cut = cut
        self._left = left
        self.key: str | None = None

    async def check(self) -> None:
        """Check structure and content.

        Raises:
            AssertionError: Something is lost.
        """
        verdict = judge(self._left.files["file"].data)
        assert not verdict.corruptions, verdict
        await self._find_key()
        life, context = self._life, self._life.context(self._left, self.key, read_only=True)
        found = await (await Qcow2Driver.open_for_check(context)).check(CheckMode.NONE)
        assert (found.corruptions, found.check_errors) == (0, 0), found
        driver = await self._open()
        assert driver.size in life.size.allowed(self._cut), driver.size
        await self._check_disk(driver)
        await self._check_snapshots(driver)
        await self._check_bitmaps(driver)

    async def _open(self) -> Qcow2Driver:
        return await Qcow2Driver.open(self._life.context(self._left, self.key, read_only=True))

    async def _read(self, driver: Qcow2Driver, length: int) -> bytes:
        backing = self._left.backing if driver.backing_filename else None
        return await Engine(driver, backing).read(0, length)

    async def _find_key(self) -> None:
        """Try all passphrases: just those open the image that may do so now."""
        if not self._life.method:
            return
        opens = set()
        for key in "stu":
            self.key = key
            try:
                await self._open()
            except QMPError:
                continue
            opens.add(key)
        allowed = self._life.keys.allowed(self._cut)
        if self._life.method == "luks":
            assert opens in allowed, (opens, allowed)
            self.key = min(opens)
        else:
            self.key = "s"

    async def _check_disk(self, driver: Qcow2Driver) -> None:
        got = await self._read(driver, driver.size)
        allowed = self._life.sectors.allowed(self._cut)
        wrong = [
            number
            for number in range(len(got) // SECTOR)
            if got[number * SECTOR : (number + 1) * SECTOR] not in allowed[number]
        ]
        assert not wrong, f"{len(wrong)} sectors are wrong: {wrong[:9]}"

    async def _check_snapshots(self, driver: Qcow2Driver) -> None:
        found = {}
        for snapshot in driver.snapshots:
            shown = await self._open()
            await shown.load_snapshot(snapshot.snapshot_id, None)
            state = bytearray(snapshot.vm_state_size)
            await shown.read_snapshot_vm_state(snapshot.snapshot_id, 0, memoryview(state))
            disk = await self._read(shown, shown.size)
            found[snapshot.snapshot_id] = Kept(disk, bytes(state))
        assert any(_same(found, kept) for kept in self._life.snapshots.allowed(self._cut)), list(found)

    async def _check_bitmaps(self, driver: Qcow2Driver) -> None:
        found: dict[str, frozenset[int] | None] = {}
        for one in driver.stored_bitmaps:
            found[one.name] = None
            if not one.is_in_use:
                bits = Bits(driver.size // GRANULARITY)
                await driver.load_bitmap(one.name, bits)
                runs = bits.runs()
                found[one.name] = frozenset(bit for first, stop in runs for bit in range(first, stop))
        assert found in self._life.bitmaps.allowed(self._cut), found


def _same(found: dict[str, Kept], kept: dict[str, Kept]) -> bool:
    """Compare snapshots.  A disk that has grown or shrunk since shows as much of each as it can."""
    return found.keys() == kept.keys() and all(
        one.state == kept[number].state
        and one.disk[: len(kept[number].disk)] == kept[number].disk[: len(one.disk)]
        for number, one in found.items()
    )


class Cut(NamedTuple):
    """One power cut that was survived: when it was, what it left, and the secret that opens it."""

    time: int
    left: ImageFiles
    key: str | None


async def cut_power(life: Life, rng: random.Random, *, at_end: bool = False) -> Cut:
    """Cut the power at some time, or when everything is done, and judge what is left.

    Raises:
        AssertionError: Something is lost; a note says what had been done.
    """
    cut = life.time if at_end else life.files.pick_cut(rng)
    left = life.files.after_cut(cut, rng)
    judgement = Judgement(life, cut, left)
    try:
        await judgement.check()
    except BaseException as error:
        explain(error, life, Cut(cut, left, None))
        raise
    return Cut(cut, left, judgement.key)


def ask_peer(life: Life, cut: Cut, folder: Path) -> None:
    """Have ``qemu-img check`` judge what a power cut has left.

    Raises:
        AssertionError: It finds more than leaks.
    """
    password = SECRETS[cut.key or "s"].decode()
    found = qemu_check(folder, cut.left, life.method, password)
    try:
        assert found is not None
        assert not {"corruptions", "check-errors"} & found.keys(), found
    except AssertionError as error:
        explain(error, life, cut)
        raise


def explain(error: BaseException, life: Life, cut: Cut) -> None:
    """Add to an error what led to it, and keep the files for whoever looks into it."""
    done = [what for what in life.done if int(what.split(":")[0]) <= cut.time]
    folder = Path(tempfile.mkdtemp(prefix="powercut-"))
    for name, file in cut.left.files.items():
        (folder / name).write_bytes(file.data)
    error.add_note(f"{life.options}: cut at {cut.time} of {life.time}, after {', '.join(done[-8:])}")
    error.add_note(f"what was left: {folder}")


def run(options: dict[str, Any], seed: int, *, steps: int, cuts: int, asked: int, folder: Path) -> None:
    """Have an image live, and cut the power so many times.

    Args:
        options: How to create the image.
        seed: What its life is made from.
        steps: How many things are done to it.
        cuts: How many states are judged.
        asked: How many of these ``qemu-img`` judges too.
        folder: Where to put files for it.

    Raises:
        AssertionError: Something is lost.
    """

    async def campaign() -> None:
        life = Life(options, seed)
        await life.create()
        await life.run(steps)
        rng = random.Random(seed)
        for number in range(cuts):
            cut = await cut_power(life, rng, at_end=number == 0)
            if number < asked:
                ask_peer(life, cut, folder)

    asyncio.run(campaign())
