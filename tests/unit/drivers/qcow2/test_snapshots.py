"""Internal snapshots: taken, applied, deleted and loaded, beside ``qemu-img snapshot``."""

import asyncio
import contextlib
import errno
import json
import random
import re
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.extras import SnapshotInfo, SupportsSnapshots
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.drivers.qcow2.snapshots import Snapshot, SnapshotTable
from qmpserver.errors import QMPError
from tests.contract.engine import Context, Engine, MemoryFile
from tests.contract.power import after_power_cut
from tests.images import judge, make_qcow2, qemu_check, qemu_img, qemu_io
from tests.peers import need
from tests.unit.drivers.qcow2.damaging import KINDS, Damage, make_sample
from tests.unit.drivers.qcow2.test_damage import mutated

T = TypeVar("T")
MiB = 1 << 20
SIZE = 1 * MiB

IMAGES: list[dict[str, Any]] = [
    {"cluster-size": 512},
    {"cluster-size": 4096, "version": "v2"},
    {"cluster-size": 4096, "refcount-bits": 2},
    {"cluster-size": 1024, "refcount-bits": 64},
    {"cluster-size": 65536},
    {"cluster-size": 16384, "extended-l2": True},
    {"cluster-size": 4096, "backing-file": "base", "backing-fmt": "raw"},
]


async def make(**options: Any) -> MemoryFile:
    file = MemoryFile()
    await Qcow2Driver.create(file, {"size": SIZE, **options})
    return file


async def open_image(file: MemoryFile, **options: Any) -> Qcow2Driver:
    return await Qcow2Driver.open(Context({"file": file}, **options))


def on_image(path: Path, body: Callable[[Qcow2Driver], Awaitable[T]], *, read_only: bool = False) -> T:
    """Run `body` on the image at `path`, closing it and storing the result there."""
    file = MemoryFile(path.read_bytes())

    async def whole() -> T:
        driver = await open_image(file, read_only=read_only)
        result = await body(driver)
        await driver.close()
        return result

    result = asyncio.run(whole())
    if not read_only:
        path.write_bytes(file.data)
    return result


async def read_whole(driver: Qcow2Driver) -> bytes:
    return await Engine(driver).read(0, driver.size)


class Model:
    """One image, and what it and its snapshots should hold."""

    def __init__(self, file: MemoryFile, backing: MemoryFile | None, seed: int) -> None:
        self.file, self.backing = file, backing
        self.rng = random.Random(seed)
        self.now = bytearray(backing.data if backing is not None else bytes(SIZE))
        self.kept: dict[str, bytes] = {}
        self.taken = 0

    async def open(self) -> None:
        children: dict[str, BlockChild] = {"file": self.file}
        if self.backing is not None:
            children["backing"] = self.backing
        self.driver = await Qcow2Driver.open(Context(children, discard=self.rng.random() < 0.5))
        self.engine = Engine(self.driver, self.backing)

    async def scribble(self) -> None:
        for _ in range(self.rng.randrange(1, 6)):
            offset = self.rng.randrange(SIZE // 512) * 512
            length = min(self.rng.choice((512, 4096, 100 * 512, SIZE // 4)), SIZE - offset)
            if self.rng.random() < 0.8:
                data = self.rng.randbytes(4) * (length // 4)
                await self.engine.write(offset, data)
                self.now[offset : offset + length] = data
                continue
            offset, length = self.engine.whole_clusters(offset, length)
            if length > 0:
                await self.engine.zero(offset, length, may_unmap=True)
                self.now[offset : offset + length] = bytes(length)

    async def act(self) -> None:
        chance = self.rng.random()
        if chance < 0.4 and len(self.kept) < 2:
            self.taken += 1
            name = f"number {self.taken}"
            stored = await self.driver.create_snapshot(SnapshotInfo("", name))
            self.kept[stored.snapshot_id] = bytes(self.now)
        elif chance < 0.6 and self.kept:
            snapshot_id = self.rng.choice(list(self.kept))
            await self.driver.apply_snapshot(snapshot_id, None)
            self.now[:] = self.kept[snapshot_id]
        elif chance < 0.8 and self.kept:
            snapshot_id = self.rng.choice(list(self.kept))
            await self.driver.delete_snapshot(snapshot_id, None)
            del self.kept[snapshot_id]
        else:
            await self.driver.close()
            await self.open()

    async def compare(self) -> None:
        assert await self.engine.read(0, SIZE) == self.now
        assert [one.snapshot_id for one in self.driver.snapshots] == list(self.kept)
        await self.driver.flush()


@pytest.mark.parametrize("options", IMAGES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_random_work_with_snapshots_agrees_with_a_model(
    tmp_path: Path, options: dict[str, Any], seed: int
) -> None:
    async def run() -> Model:
        backing = MemoryFile(random.Random(seed).randbytes(SIZE)) if "backing-file" in options else None
        model = Model(await make(**options), backing, seed)
        await model.open()
        for _ in range(25):
            await model.scribble()
            await model.act()
            await model.compare()
            if "extended-l2" not in options:
                assert judge(model.file.data) == ([], 0)
        for snapshot_id, content in model.kept.items():
            children = {"file": model.file, **({"backing": backing} if backing is not None else {})}
            shown = await Qcow2Driver.open(Context(children, read_only=True))
            await shown.load_snapshot(snapshot_id, None)
            assert await Engine(shown, backing).read(0, SIZE) == content
        await model.driver.close()
        return model

    model = asyncio.run(run())
    image = tmp_path / "image.qcow2"
    image.write_bytes(model.file.data)
    (tmp_path / "base").write_bytes(bytes(SIZE))
    assert qemu_check(image) == {}


@pytest.mark.parametrize("cluster_size", [512, 4096, 65536])
@pytest.mark.parametrize("compat", ["0.10", "1.1"])
def test_qemu_lists_applies_and_deletes_what_the_driver_took(
    tmp_path: Path, compat: str, cluster_size: int
) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", "1M", compat=compat, cluster_size=cluster_size)
    qemu_io(image, "write -P 1 0 600k", "write -c -P 5 640k 64k")

    async def take(driver: Qcow2Driver) -> None:
        wanted = SnapshotInfo("", "first", 0, 86400, 5, 3_600_000_000_000, 77)
        assert await driver.create_snapshot(wanted) == wanted._replace(snapshot_id="1")
        await Engine(driver).write(100_000, b"\2" * 300_000)
        await driver.create_snapshot(SnapshotInfo("seven", "second"))
        await Engine(driver).write(0, b"\3" * MiB)

    on_image(image, take)
    assert qemu_check(image) == {}
    listed = qemu_img("snapshot", "-l", image)
    assert re.search(r"1 +first +0 B 1970-01-02 \S+ +\S*01:00:00.000 +77", listed)
    assert re.search(r"seven +second", listed)
    qemu_img("snapshot", "-a", "first", image)
    assert qemu_check(image) == {}
    qemu_io(image, "read -P 1 0 600k", "read -P 5 640k 64k", "write -P 9 0 1k")
    qemu_img("snapshot", "-d", "first", image)
    qemu_img("snapshot", "-a", "second", image)
    assert qemu_check(image) == {}
    qemu_io(image, "read -P 1 0 100000", "read -P 2 100000 300000", "read -P 1 400000 214400")


@pytest.mark.parametrize("cluster_size", [512, 4096, 65536])
@pytest.mark.parametrize("compat", ["0.10", "1.1"])
def test_the_driver_lists_applies_and_deletes_what_qemu_took(
    tmp_path: Path, compat: str, cluster_size: int
) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", "1M", compat=compat, cluster_size=cluster_size)
    qemu_io(image, "write -P 1 0 600k", "write -c -P 5 640k 64k")
    qemu_img("snapshot", "-c", "first", image)
    qemu_io(image, "write -P 2 100000 300000")
    qemu_img("snapshot", "-c", "second", image)
    qemu_io(image, "write -P 3 0 1M")

    async def go_back(driver: Qcow2Driver) -> bytes:
        assert [(one.snapshot_id, one.name) for one in driver.snapshots] == [("1", "first"), ("2", "second")]
        await driver.apply_snapshot(None, "first")
        return await read_whole(driver)

    first = b"\1" * 614400 + bytes(40960) + b"\5" * 65536
    assert on_image(image, go_back) == first.ljust(MiB, b"\0")
    assert qemu_check(image) == {}
    on_image(image, lambda driver: driver.delete_snapshot("1", None))
    assert qemu_check(image) == {}
    qemu_io(image, "read -P 1 0 600k", "read -P 5 640k 64k", "write -P 9 0 1M")
    on_image(image, lambda driver: driver.apply_snapshot(None, "second"))
    qemu_io(image, "read -P 1 0 100000", "read -P 2 100000 300000", "read -P 1 400000 214400")
    on_image(image, lambda driver: driver.delete_snapshot(None, "second"))
    assert qemu_check(image) == {}
    qemu_io(image, "read -P 1 0 100000", "read -P 2 100000 300000", "read -P 1 400000 214400")


def test_a_snapshot_brings_its_size_back(tmp_path: Path) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", "64k", cluster_size=512)

    async def resize(driver: Qcow2Driver) -> None:
        await Engine(driver).write(0, b"\1" * 65536)
        await driver.create_snapshot(SnapshotInfo("", "small"))
        await driver.truncate(4 * MiB)
        await Engine(driver).write(3 * MiB, b"\2" * MiB)
        await driver.create_snapshot(SnapshotInfo("", "large"))
        await driver.apply_snapshot(None, "small")
        assert await read_whole(driver) == b"\1" * 65536
        await driver.apply_snapshot(None, "large")
        assert driver.size == 4 * MiB

    on_image(image, resize)
    assert qemu_check(image) == {}
    qemu_io(image, "read -P 1 0 64k", "read -P 0 64k 3008k", "read -P 2 3M 1M")
    qemu_img("snapshot", "-a", "small", image)
    assert '"virtual-size": 65536' in qemu_img("info", "--output=json", image)


@pytest.mark.parametrize("options", IMAGES[:5], ids=str)
@pytest.mark.parametrize("action", ["create", "apply", "delete"])
def test_a_power_cut_leaves_the_state_before_or_after(options: dict[str, Any], action: str) -> None:
    async def run(seed: int) -> None:
        rng = random.Random(seed)
        file = await make(**options)
        driver = await open_image(file)
        engine = Engine(driver)
        await engine.write(0, rng.randbytes(SIZE // 2))
        await driver.create_snapshot(SnapshotInfo("", "old"))
        old = await read_whole(driver)
        await engine.write(SIZE // 4, rng.randbytes(SIZE // 2))
        new = await read_whole(driver)
        await driver.flush()
        start = bytes(file.data)
        file.log.clear()
        if action == "create":
            await driver.create_snapshot(SnapshotInfo("", "new"))
        elif action == "apply":
            await driver.apply_snapshot("1", None)
        else:
            await driver.delete_snapshot("1", None)
        await driver.close()
        seen = {
            await state_after(after_power_cut(start, file.log, cut, rng)) for cut in range(len(file.log) + 1)
        }
        before = (new, (("1", old),))
        after = {
            "create": (new, (("1", old), ("2", new))),
            "apply": (old, (("1", old),)),
            "delete": (new, ()),
        }
        assert seen == {before, after[action]}

    for seed in range(2):
        asyncio.run(run(seed))


async def state_after(data: bytearray) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    """Return what an image and each of its snapshots hold; it must have nothing wrong but leaks."""
    assert not judge(data).corruptions
    driver = await open_image(MemoryFile(data), read_only=True)
    now, kept = await read_whole(driver), []
    for one in driver.snapshots:
        await driver.load_snapshot(one.snapshot_id, None)
        kept.append((one.snapshot_id, await read_whole(driver)))
    return now, tuple(kept)


@pytest.mark.parametrize("options", IMAGES[:6], ids=str)
def test_machine_state_goes_with_its_snapshot(tmp_path: Path, options: dict[str, Any]) -> None:
    state = random.Random(1).randbytes(300_001)

    async def run() -> MemoryFile:
        file = await make(**options)
        driver = await open_image(file)
        await Engine(driver).write(0, b"x" * 4096)
        for start in range(0, len(state), 70_000):
            await driver.write_vm_state(start, memoryview(state)[start : start + 70_000])
        await driver.write_vm_state(10, memoryview(state)[10:20])
        await driver.create_snapshot(SnapshotInfo("", "running", vm_state_size=len(state)))
        assert await read_state(driver) == bytes(len(state))
        await driver.apply_snapshot(None, "running")
        assert await read_state(driver) == state
        await driver.close()
        shown = await open_image(file, read_only=True)
        await shown.load_snapshot(None, "running")
        assert await read_state(shown) == state
        assert shown.snapshots[0].vm_state_size == len(state)
        return file

    async def read_state(driver: Qcow2Driver) -> bytes:
        into = bytearray(len(state))
        await driver.read_vm_state(0, memoryview(into))
        return bytes(into)

    image = tmp_path / "image.qcow2"
    image.write_bytes(asyncio.run(run()).data)
    assert qemu_check(image) == {}
    assert "293 KiB" in qemu_img("snapshot", "-l", image)
    qemu_img("snapshot", "-d", "running", image)
    assert qemu_check(image) == {}


def test_extra_data_is_kept_and_its_absence_understood() -> None:
    async def run() -> None:
        file = await make(version="v2")
        driver = await open_image(file)
        await driver.create_snapshot(SnapshotInfo("", "one", vm_state_size=5))
        await driver.close()
        table = int.from_bytes(file.data[64:72], "big")
        entry = bytes(file.data[table : table + 40])
        # As the first writers of version 2 did it, and then as a writer to come might.
        file.data[table : table + 48] = entry[:32] + b"\0\0\0\5" + bytes(4) + b"1one" + bytes(4)
        driver = await open_image(file)
        assert driver.snapshots == (SnapshotInfo("1", "one", vm_state_size=5),)
        newer = (
            entry[:36]
            + b"\0\0\0\x20"
            + bytes(7)
            + b"\6"
            + SIZE.to_bytes(8, "big")
            + b"\xff" * 8
            + b"future!!"
        )
        file.data[table : table + 80] = newer + b"1one" + bytes(4)
        driver = await open_image(file)
        assert driver.snapshots == (SnapshotInfo("1", "one", vm_state_size=6),)
        await driver.create_snapshot(SnapshotInfo("", "two"))
        assert b"future!!" in file.data[int.from_bytes(file.data[64:72], "big") :][:80]
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EEXIST, errno.EINVAL, errno.ENOTSUP])
def test_what_cannot_be_done_is_refused_and_changes_nothing(number: int) -> None:
    async def run() -> None:
        external = number == errno.ENOTSUP
        file, data = MemoryFile(), MemoryFile(bytes(SIZE))
        options = {"size": SIZE, "refcount-bits": 1 if number == errno.EINVAL else 16}
        await Qcow2Driver.create(file, options)
        if external:
            file.data[79] |= 4
        children: dict[str, BlockChild] = {"file": file, **({"data-file": data} if external else {})}
        driver = await Qcow2Driver.open(Context(children))
        assert isinstance(driver, SupportsSnapshots)
        await Engine(driver).write(0, b"x" * SIZE)
        if number == errno.EEXIST:
            await driver.create_snapshot(SnapshotInfo("", "one"))
        await driver.flush()
        before = bytes(file.data)
        action: Awaitable[object]
        if number == errno.ENOENT:
            action = driver.delete_snapshot("2", None)
        else:
            action = driver.create_snapshot(SnapshotInfo("1", "again"))
        with pytest.raises(OSError, match=re.escape(f"[Errno {number}]")):
            await action
        assert file.data == before

    asyncio.run(run())


def test_a_snapshot_is_not_loaded_into_an_image_that_is_written() -> None:
    async def run() -> None:
        driver = await open_image(await make())
        await driver.create_snapshot(SnapshotInfo("", "one"))
        with pytest.raises(OSError, match="Invalid argument"):
            await driver.load_snapshot("1", None)

    asyncio.run(run())


def test_a_new_id_is_one_more_than_the_highest() -> None:
    entries = tuple(Snapshot(0, 0, name, name, 0, 0, 0, 0) for name in ("3", "x", "11", "-40"))
    assert SnapshotTable(0, entries).new_id() == "12"
    assert SnapshotTable(0).new_id() == "1"


def test_long_names_are_stored_whole(tmp_path: Path) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", "1M")
    names = ["n" * 65535, "ä" * 30000, ""]

    async def take(driver: Qcow2Driver) -> None:
        for name in names:
            await driver.create_snapshot(SnapshotInfo("", name))

    on_image(image, take)
    assert qemu_check(image) == {}

    async def names_of(driver: Qcow2Driver) -> list[str]:
        return [one.name for one in driver.snapshots]

    assert on_image(image, names_of, read_only=True) == names


def in_machine(image: Path, command: str, **arguments: Any) -> None:
    """Start QEMU without a machine, let it run one job on the image's node `disk`, and end it."""
    options = [
        "-machine",
        "none",
        "-m",
        "8",
        "-nodefaults",
        "-display",
        "none",
        "-accel",
        "tcg",
        "-qmp",
        "stdio",
    ]
    node = f"qcow2,node-name=disk,file.driver=file,file.filename={image}"
    with subprocess.Popen(
        [need("qemu-system-x86_64"), *options, "-blockdev", node],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as machine:  # fmt: skip
        assert machine.stdin is not None
        assert machine.stdout is not None

        def send(name: str, **given: Any) -> None:
            assert machine.stdin is not None
            machine.stdin.write(json.dumps({"execute": name, "arguments": given}) + "\n")
            machine.stdin.flush()

        send("qmp_capabilities")
        send(command, **{"job-id": "job", "devices": ["disk"], **arguments})
        for line in machine.stdout:
            message = json.loads(line)
            assert "error" not in message
            if message.get("data", {}).get("status") == "concluded":
                send("query-jobs")
            elif isinstance(message.get("return"), list):
                assert "error" not in message["return"][0], message
                send("quit")


def test_a_real_machines_state_is_found_and_given_back(tmp_path: Path) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", "16M")
    qemu_io(image, "write -P 3 0 1M")
    in_machine(image, "snapshot-save", tag="real", vmstate="disk")

    async def use(driver: Qcow2Driver) -> None:
        size = driver.snapshots[0].vm_state_size
        await driver.create_snapshot(SnapshotInfo("", "other"))
        await Engine(driver).write(0, b"x" * MiB)
        await driver.apply_snapshot(None, "real")
        state = bytearray(size)
        await driver.read_vm_state(0, memoryview(state))
        assert state.startswith(b"QEVM")
        # The same state once more, as another snapshot.
        await driver.apply_snapshot(None, "other")
        await driver.write_vm_state(0, memoryview(state))
        await driver.create_snapshot(SnapshotInfo("", "copy", vm_state_size=size))
        await driver.delete_snapshot(None, "other")

    on_image(image, use)
    assert qemu_check(image) == {}
    for tag in ("real", "copy"):
        in_machine(image, "snapshot-load", tag=tag, vmstate="disk")
        assert qemu_check(image) == {}
        qemu_io(image, "read -P 3 0 1M")


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_damage_gives_a_named_error_or_another_state(tmp_path: Path, options: dict[str, Any]) -> None:
    data = make_sample(tmp_path / "image.qcow2", options).read_bytes()

    async def use(damaged: bytearray) -> None:
        with contextlib.suppress(OSError, QMPError):
            driver = await open_image(MemoryFile(damaged))
            for action in (
                lambda: driver.create_snapshot(SnapshotInfo("", "new")),
                lambda: driver.apply_snapshot("1", None),
                lambda: driver.delete_snapshot("1", None),
                lambda: driver.amend({"version": "v2"}),
                lambda: driver.amend({"version": "v3", "refcount-bits": 64}),
            ):
                with contextlib.suppress(OSError, QMPError):
                    await action()

    for seed in range(40):
        rng = random.Random(seed)
        asyncio.run(use(mutated(bytearray(data), rng) if seed % 2 else Damage(data, rng).any()))


@pytest.mark.parametrize("action", ["create", "apply", "delete", "amend"])
def test_an_error_while_writing_leaves_the_state_before_or_after(action: str) -> None:
    """The one after only when the very last barrier fails."""

    async def act(driver: Qcow2Driver) -> None:
        if action == "create":
            await driver.create_snapshot(SnapshotInfo("", "new"))
        elif action == "apply":
            await driver.apply_snapshot("1", None)
        elif action == "delete":
            await driver.delete_snapshot("1", None)
        else:
            await driver.amend({"refcount-bits": 64, "version": "v3"})

    async def run(failing: int) -> tuple[bytes, list[str], bool]:
        file = await make(**{"cluster-size": 4096})
        driver = await open_image(file)
        engine = Engine(driver)
        await engine.write(0, b"a" * (SIZE // 2))
        await driver.create_snapshot(SnapshotInfo("", "old"))
        await engine.write(0, b"b" * (SIZE // 4))
        await driver.flush()
        file.fail_next = [*[None] * failing, OSError(errno.EIO, "failing")]
        failed = False
        try:
            await act(driver)
        except OSError:
            failed = True
        file.fail_next = []
        found = await read_whole(driver), [one.name for one in driver.snapshots], failed
        await engine.write(SIZE // 2, b"c" * 4096)
        await driver.close()
        assert judge(file.data) == ([], 0)
        return found

    results = [asyncio.run(run(0))]
    while results[-1][2]:
        results.append(asyncio.run(run(len(results))))
    before, after = results[0][:2], results[-1][:2]
    assert len(results) > 4
    assert all(found[:2] == before for found in results[:-2])
    assert results[-2][:2] in (before, after)
