"""Images with some of everything in them, made by the driver itself."""

from dataclasses import dataclass
from typing import Any

from qmpserver.block.bits import Bits
from qmpserver.driver_api.bitmaps import StoredBitmap
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.extras import SnapshotInfo
from qmpserver.driver_api.surroundings import Surroundings
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from tests.contract.engine import Context, Engine, MemoryFile

SIZE = 1 << 20
SECRETS = {"s": b"first", "t": b"second"}
AROUND = Surroundings(secret=SECRETS.__getitem__)
LUKS = {"format": "luks", "key-secret": "s", "iter-time": 0, "cipher-alg": "aes-128"}

KINDS: list[dict[str, Any]] = [
    {"cluster-size": 4096},
    {"cluster-size": 512, "refcount-bits": 8},
    {"cluster-size": 65536, "version": "v2"},
    {"cluster-size": 1024, "backing-file": "base", "backing-fmt": "raw"},
    {"cluster-size": 16384, "extended-l2": True, "refcount-bits": 64},
    {"cluster-size": 4096, "data-file": True},
    {"cluster-size": 4096, "encrypt": LUKS},
]


@dataclass(slots=True)
class Specimen:
    """One image: its options, its files by their names, what the guest sees, and its backing file."""

    options: dict[str, Any]
    files: dict[str, bytes]
    guest: bytes
    backing: bytes | None = None

    @property
    def method(self) -> str:
        """Its encryption: `luks` or nothing."""
        return "luks" if "encrypt" in self.options else ""

    def children(self, **files: bytes | bytearray) -> dict[str, BlockChild]:
        """Return what a driver finds below, with some files replaced."""
        found: dict[str, BlockChild] = {
            name: MemoryFile(data) for name, data in {**self.files, **files}.items()
        }
        if self.backing is not None:
            found["backing"] = MemoryFile(self.backing)
        return found

    def context(self, children: dict[str, BlockChild], **more: Any) -> Context:
        """Return what a driver is told that opens the image."""
        options = {"encrypt": {"format": "luks", "key-secret": "s"}} if self.method else {}
        return Context(children, options=options, surroundings=AROUND, **more)


async def make(options: dict[str, Any], *, has_snapshots: bool = True, has_bitmaps: bool = True) -> Specimen:
    """Make an image with data, zeroes, compressed clusters, snapshots and bitmaps, where it can have them."""
    backing = b"\x5a" * (SIZE - 70144) if "backing-file" in options else None
    specimen = Specimen(options, {"file": b""}, b"", backing)
    if "data-file" in options:
        specimen.files["data-file"] = b""
    children = specimen.children()
    given = {
        "size": SIZE,
        **options,
        **({"data-file": children["data-file"]} if "data-file" in options else {}),
    }
    file = children["file"]
    await Qcow2Driver.create(file, given, SECRETS.__getitem__)
    driver = await Qcow2Driver.open(specimen.context(children))
    engine = Engine(driver, children.get("backing"))
    await _fill(engine, driver, has_snapshots=has_snapshots)
    specimen.guest = await engine.read(0, SIZE)
    if has_bitmaps and options.get("version") != "v2":
        await _store_bitmaps(driver)
    await driver.close()
    for name in specimen.files:
        child = children[name]
        assert isinstance(child, MemoryFile)
        specimen.files[name] = bytes(child.data)
    return specimen


async def _fill(engine: Engine, driver: Qcow2Driver, *, has_snapshots: bool) -> None:
    await engine.write(0, b"\x11" * (256 << 10))
    await engine.write(700 << 10, b"\x22" * (64 << 10))
    await engine.discard(*engine.whole_clusters(64 << 10, 64 << 10))
    await engine.zero(128 << 10, 64 << 10)
    if driver.can_hold_snapshots:
        await engine.write_compressed(512 << 10, b"\x33" * (128 << 10))
    if driver.can_hold_snapshots and has_snapshots:
        await driver.write_vm_state(0, memoryview(b"\x44" * 5000))
        await driver.create_snapshot(SnapshotInfo("1", "one", vm_state_size=5000))
        await engine.write(100 << 10, b"\x55" * (50 << 10))
        await driver.create_snapshot(SnapshotInfo("2", "two"))
        await engine.write(600 << 10, b"\x66" * (50 << 10))


async def _store_bitmaps(driver: Qcow2Driver) -> None:
    rows = []
    for name, granularity, marked in (("fine", 512, range(0, 1000, 3)), ("coarse", 65536, range(16))):
        bits = Bits(SIZE // granularity)
        for bit in marked:
            bits.set(bit, bit + 1)
        rows.append((StoredBitmap(name, granularity, True), bits))
    await driver.store_bitmaps(rows)
