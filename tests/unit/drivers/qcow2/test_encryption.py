"""Encrypted images: any guest request gives what a plain model gives, and the file holds none of it."""

import asyncio
import random
import subprocess
import sys
from typing import Any

import pytest

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.extras import CheckMode, SnapshotInfo
from qmpserver.driver_api.surroundings import Surroundings
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.errors import QMPError
from tests.contract.driver_contract import MappingDriverContract
from tests.contract.engine import Context, Engine, MemoryFile

MiB = 1 << 20
SIZE = MiB
SECRETS = {"s": b"pass", "t": b"other", "binary": b"\xff"}
AROUND = Surroundings(secret=SECRETS.__getitem__)
LUKS = {"format": "luks", "key-secret": "s", "iter-time": 0, "cipher-alg": "aes-128"}
AES = {"format": "qcow", "key-secret": "s"}
OPENED = {"luks": {"format": "luks", "key-secret": "s"}, "qcow": {"format": "aes", "key-secret": "s"}}


def context(children: dict[str, BlockChild], encrypt: dict[str, Any] | None, **named: Any) -> Context:
    options = {"encrypt": encrypt} if encrypt is not None else {}
    return Context(children, options=options, surroundings=AROUND, **named)


class EncryptedContract(MappingDriverContract):
    encrypt: dict[str, Any] = {}  # noqa: RUF012 - a subclass replaces it whole
    options: dict[str, Any] = {}  # noqa: RUF012

    async def make(self, file: MemoryFile) -> None:
        options = {"size": self.size, "encrypt": self.encrypt, **self.options}
        await Qcow2Driver.create(file, options, SECRETS.__getitem__)

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> BlockDriver:
        encrypt = OPENED[self.encrypt["format"]]
        return await Qcow2Driver.open(context({"file": file}, encrypt, read_only=read_only))


class TestLuks(EncryptedContract):
    encrypt = LUKS


class TestAes(EncryptedContract):
    encrypt = AES
    options = {"cluster-size": 4096}  # noqa: RUF012


class Work:
    """Random requests on an encrypted image, done to a plain model too."""

    def __init__(self, rng: random.Random, encrypt: dict[str, Any], options: dict[str, Any]) -> None:
        self.rng = rng
        self.encrypt = encrypt
        self.options = dict(options)
        self.children: dict[str, BlockChild] = {"file": MemoryFile()}
        if self.options.pop("external", False):
            self.options["data-file"] = self.children["data-file"] = MemoryFile()
        self.backing = MemoryFile(rng.randbytes(SIZE - 70000)) if "backing-file" in options else None
        if self.backing is not None:
            self.children["backing"] = self.backing
        self.model = bytearray(self.backing.data if self.backing else b"").ljust(SIZE, b"\0")
        self.engine: Engine

    async def create(self) -> None:
        options = {"size": SIZE, "encrypt": self.encrypt, **self.options}
        file = self.children["file"]
        await Qcow2Driver.create(file, options, SECRETS.__getitem__)
        await self.open()

    async def open(self) -> None:
        driver = await Qcow2Driver.open(context(self.children, OPENED[self.encrypt["format"]]))
        self.engine = Engine(driver, self.backing)

    async def step(self) -> None:
        offset = self.rng.randrange(SIZE)
        length = min(self.rng.choice((1, 512, 700, 5120, 70144, 299520)), SIZE - offset)
        if self.rng.random() < 0.7:
            data = self.rng.randbytes(length)
            await self.engine.write(offset, data)
            self.model[offset : offset + length] = data
            return
        is_zero = self.rng.random() < 0.5
        whole = self.engine.whole_parts if is_zero else self.engine.whole_clusters
        offset, length = whole(offset, length)
        if length:
            if is_zero:
                await self.engine.zero(offset, length, may_unmap=self.rng.random() < 0.5)
            else:
                await self.engine.discard(offset, length)
            self.model[offset : offset + length] = bytes(length)


IMAGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (LUKS, {}),
    (LUKS, {"cluster-size": 512}),
    (LUKS, {"cluster-size": 4096, "backing-file": "base"}),
    (LUKS, {"cluster-size": 16384, "extended-l2": True, "backing-file": "base"}),
    (LUKS, {"cluster-size": 4096, "external": True}),
    (LUKS, {"cluster-size": 4096, "external": True, "data-file-raw": True}),
    (LUKS, {"cluster-size": 4096, "preallocation": "full"}),
    (LUKS | {"cipher-mode": "cbc", "ivgen-alg": "essiv", "cipher-alg": "aes-256"}, {"cluster-size": 4096}),
    (AES, {"cluster-size": 4096, "backing-file": "base"}),
    (AES, {"cluster-size": 16384, "extended-l2": True, "preallocation": "metadata"}),
    (AES, {"cluster-size": 16384, "extended-l2": True, "external": True}),
    (AES, {"cluster-size": 4096, "version": "v2", "preallocation": "falloc"}),
]


@pytest.mark.parametrize(("encrypt", "options"), IMAGES, ids=str)
def test_random_requests_agree_with_a_plain_model(encrypt: dict[str, Any], options: dict[str, Any]) -> None:
    async def run() -> None:
        work = Work(random.Random(str(options)), encrypt, options)
        await work.create()
        assert await work.engine.read(0, SIZE) == work.model
        for _ in range(2):
            for _ in range(12):
                await work.step()
            assert await work.engine.read(0, SIZE) == work.model
            await work.engine.driver.close()
            await work.open()
        assert await work.engine.read(0, SIZE) == work.model
        driver = work.engine.driver
        assert isinstance(driver, Qcow2Driver)
        result = await driver.check(CheckMode.NONE)
        assert (result.corruptions, result.leaks, result.check_errors) == (0, 0, 0)

    asyncio.run(run())


@pytest.mark.parametrize("encrypt", [LUKS, AES], ids=["luks", "aes"])
def test_nothing_of_the_guests_data_is_in_the_file(encrypt: dict[str, Any]) -> None:
    async def run() -> None:
        work = Work(random.Random(0), encrypt, {})
        await work.create()
        secret = b"nobody is to read this" * 50
        await work.engine.write(70000, secret)
        file = work.children["file"]
        assert isinstance(file, MemoryFile)
        assert secret[:16] not in file.data
        assert b"pass" not in file.data

    asyncio.run(run())


@pytest.mark.parametrize("encrypt", [LUKS, AES], ids=["luks", "aes"])
def test_snapshots_machine_state_and_a_new_size_pass_the_cipher_too(encrypt: dict[str, Any]) -> None:
    async def run() -> None:
        work = Work(random.Random(1), encrypt, {"cluster-size": 4096})
        await work.create()
        await work.engine.write(1000, b"before" * 1000)
        driver = work.engine.driver
        assert isinstance(driver, Qcow2Driver)
        state = random.Random(2).randbytes(9000)
        await driver.write_vm_state(300, memoryview(state))
        await driver.create_snapshot(SnapshotInfo("1", "one", vm_state_size=9300))
        await work.engine.write(1000, b"after." * 1000)
        await driver.truncate(SIZE + 700 * 512)
        assert await work.engine.read(1000, 6000) == b"after." * 1000
        assert await work.engine.read(SIZE - 10, 1000) == bytes(1000)
        into = bytearray(9000)
        await driver.read_snapshot_vm_state("1", 300, memoryview(into))
        assert into == state
        await driver.truncate(SIZE)
        await driver.apply_snapshot("1", None)
        assert await work.engine.read(1000, 6000) == b"before" * 1000
        await driver.read_vm_state(300, memoryview(into))
        assert into == state

    asyncio.run(run())


def test_unaligned_writes_at_once_lose_nothing_of_one_another() -> None:
    async def run() -> None:
        file = MemoryFile(yields=True)
        await Qcow2Driver.create(file, {"size": SIZE, "encrypt": LUKS}, SECRETS.__getitem__)
        driver = await Qcow2Driver.open(context({"file": file}, OPENED["luks"]))
        engine = Engine(driver)
        await engine.write(0, bytes(65536))
        mapping = await driver.map(0, 65536)
        assert mapping.child is not None
        pieces = [(at, bytes([at % 251 + 1]) * 7) for at in range(0, 2048, 7)]
        await asyncio.gather(
            *(mapping.child.pwrite(mapping.offset + at, memoryview(data)) for at, data in pieces)
        )
        assert await engine.read(0, 2051) == b"".join(data for _, data in pieces)

    asyncio.run(run())


REFUSED: list[tuple[dict[str, Any] | None, dict[str, Any] | None, str]] = [
    (LUKS, None, "Parameter 'encrypt.key-secret' is required for cipher"),
    (LUKS, {"format": "luks"}, "Parameter 'encrypt.key-secret' is required for cipher"),
    (AES, None, "Parameter 'encrypt.key-secret' is required for cipher"),
    (LUKS, {"format": "luks", "key-secret": "t"}, "Invalid password, cannot unlock any keyslot"),
    (LUKS, {"format": "luks", "key-secret": "binary"}, "Data from secret binary is not valid UTF-8"),
    (
        LUKS,
        {"format": "aes", "key-secret": "s"},
        "Header reported 'luks' encryption format but options specify 'aes'",
    ),
    (
        AES,
        {"format": "luks", "key-secret": "s"},
        "Header reported 'aes' encryption format but options specify 'luks'",
    ),
    (
        None,
        {"format": "aes", "key-secret": "s"},
        "No encryption in image header, but options specified format 'aes'",
    ),
]


@pytest.mark.parametrize(("encrypt", "opened", "text"), REFUSED)
def test_an_image_is_not_opened_without_its_key(
    encrypt: dict[str, Any] | None, opened: dict[str, Any] | None, text: str
) -> None:
    async def run() -> None:
        file = MemoryFile()
        options = {"size": SIZE} if encrypt is None else {"size": SIZE, "encrypt": encrypt}
        await Qcow2Driver.create(file, options, SECRETS.__getitem__)
        before = bytes(file.data)
        with pytest.raises(QMPError) as caught:
            await Qcow2Driver.open(context({"file": file}, opened))
        assert caught.value.description == text
        assert file.data == before

    asyncio.run(run())


def patched(data: bytearray, offset: int, value: int, width: int) -> bytearray:
    copy = bytearray(data)
    copy[offset : offset + width] = value.to_bytes(width, "big")
    return copy


@pytest.mark.parametrize(
    ("offset", "value", "width", "text"),
    [
        (4, 15, 4, "CRYPTO header extension size 15, but expected size 16"),
        (8, 1000, 8, "Encryption header offset '1000' is not a multiple of cluster size '65536'"),
        (8, 0, 8, "Volume is not in LUKS format"),
        (8, 1 << 40, 8, "Volume is not in LUKS format"),
        (16, 100, 8, "Request for data outside of extension header"),
        (16, 4096, 8, "Request for data outside of extension header"),
        (0, 0x12345678, 4, "Missing CRYPTO header for crypt method 2"),
    ],
)
def test_a_damaged_pointer_to_the_header_is_refused(offset: int, value: int, width: int, text: str) -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": SIZE, "encrypt": LUKS}, SECRETS.__getitem__)
        at = file.data.index(bytes.fromhex("0537be77"))
        file.data = patched(file.data, at + offset, value, width)
        with pytest.raises(QMPError) as caught:
            await Qcow2Driver.open(context({"file": file}, OPENED["luks"]))
        assert caught.value.description == text

    asyncio.run(run())


def test_an_image_that_is_only_looked_at_needs_no_key_and_says_how_it_is_encrypted() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": SIZE, "encrypt": LUKS}, SECRETS.__getitem__)
        looking = context({"file": file}, None, read_only=True)
        looking.no_io = True
        info = (await Qcow2Driver.open(looking)).image_info()
        assert info["encrypted"] is True
        shown = info["format-specific"]["data"]["encrypt"]
        assert (shown["format"], shown["cipher-alg"], shown["hash-alg"]) == ("luks", "aes-128", "sha256")
        assert [slot["active"] for slot in shown["slots"]] == [True] + 7 * [False]

    asyncio.run(run())


def test_passphrases_are_added_and_erased() -> None:
    async def run() -> None:
        work = Work(random.Random(3), LUKS, {})
        await work.create()
        await work.engine.write(0, b"data")
        driver = work.engine.driver
        assert isinstance(driver, Qcow2Driver)

        async def amend(**options: Any) -> None:
            named = {"format": "luks", **{name.replace("_", "-"): value for name, value in options.items()}}
            await driver.amend({"encrypt": named}, SECRETS.__getitem__)

        await amend(state="active", new_secret="t", iter_time=0)
        await amend(state="inactive", keyslot=0)
        with pytest.raises(QMPError, match="Attempt to erase the only active keyslot 1"):
            await amend(state="inactive", keyslot=1)
        await driver.close()
        with pytest.raises(QMPError, match="Invalid password"):
            await work.open()
        again = await Qcow2Driver.open(context(work.children, {"format": "luks", "key-secret": "t"}))
        assert await Engine(again).read(0, 4) == b"data"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("encrypt", "wanted", "text"),
    [
        (None, "luks", "image is not encrypted, can't amend"),
        (LUKS, "qcow", "Amend can't be used to change the qcow2 encryption format"),
        (AES, "luks", "Only LUKS encryption options can be amended for qcow2 with blockdev-amend"),
    ],
)
def test_only_luks_has_passphrases_to_change(encrypt: dict[str, Any] | None, wanted: str, text: str) -> None:
    async def run() -> None:
        file = MemoryFile()
        options = {"size": SIZE} if encrypt is None else {"size": SIZE, "encrypt": encrypt}
        await Qcow2Driver.create(file, options, SECRETS.__getitem__)
        opened = OPENED[encrypt["format"]] if encrypt is not None else None
        driver = await Qcow2Driver.open(context({"file": file}, opened))
        with pytest.raises(QMPError) as caught:
            await driver.amend({"encrypt": {"format": wanted, "state": "active"}}, SECRETS.__getitem__)
        assert caught.value.description == text

    asyncio.run(run())


@pytest.mark.parametrize("encrypt", [LUKS, AES], ids=["luks", "aes"])
def test_whole_image_changes_leave_the_key_where_it_is(encrypt: dict[str, Any]) -> None:
    async def run() -> None:
        work = Work(random.Random(4), encrypt, {"cluster-size": 4096})
        await work.create()
        for _ in range(5):
            await work.step()
        driver = work.engine.driver
        assert isinstance(driver, Qcow2Driver)
        assert not driver.stores_plainly
        await driver.change_backing_file("elsewhere", "raw")
        await driver.amend({"version": "v2"})
        await driver.amend({"version": "v3", "refcount-bits": 32})
        await driver.change_backing_file(None, None)
        assert await work.engine.read(0, SIZE) == work.model
        await driver.close()
        await work.open()
        assert await work.engine.read(0, SIZE) == work.model
        driver = work.engine.driver
        assert isinstance(driver, Qcow2Driver)
        result = await driver.check(CheckMode.NONE)
        assert (result.corruptions, result.leaks) == (0, 0)

    asyncio.run(run())


def test_zero_clusters_over_a_backing_file_keep_an_encrypted_image_from_becoming_version_2() -> None:
    async def run() -> None:
        work = Work(random.Random(5), LUKS, {"cluster-size": 4096, "backing-file": "base"})
        await work.create()
        await work.engine.zero(0, 4096, may_unmap=True)
        driver = work.engine.driver
        assert isinstance(driver, Qcow2Driver)
        with pytest.raises(QMPError, match="Cannot downgrade an encrypted image with zero clusters"):
            await driver.amend({"version": "v2"})
        assert await work.engine.read(0, 4096) == bytes(4096)

    asyncio.run(run())


def test_another_secret_may_be_named_when_the_node_is_reopened() -> None:
    async def run() -> None:
        work = Work(random.Random(6), LUKS, {})
        await work.create()
        driver = work.engine.driver
        assert isinstance(driver, Qcow2Driver)
        with pytest.raises(
            QMPError, match="Header reported 'luks' encryption format but options specify 'aes'"
        ):
            await driver.prepare_reopen(read_only=False, options={"encrypt": {"format": "aes"}})
        other = {"encrypt": {"format": "luks", "key-secret": "t"}}
        await driver.prepare_reopen(read_only=False, options=other)
        await driver.commit_reopen()
        added = {"format": "luks", "state": "active", "new-secret": "t", "iter-time": 0}
        with pytest.raises(QMPError, match="Invalid password"):
            await driver.amend({"encrypt": added}, SECRETS.__getitem__)
        await driver.amend({"encrypt": {**added, "secret": "s"}}, SECRETS.__getitem__)
        foreign = MemoryFile()
        await Qcow2Driver.create(foreign, {"size": SIZE, "encrypt": LUKS}, SECRETS.__getitem__)
        file = work.children["file"]
        assert isinstance(file, MemoryFile)
        file.data = foreign.data
        with pytest.raises(QMPError, match="The new file holds an image with another key"):
            await driver.prepare_reopen(read_only=False, options=other)

    asyncio.run(run())


def test_what_is_new_in_a_data_file_reads_as_zeroes_from_the_old_end_on() -> None:
    async def run() -> None:
        work = Work(random.Random(7), LUKS, {"cluster-size": 4096, "external": True})
        await work.create()
        await work.engine.write(0, b"x" * 8192)
        for size in (4096 + 512, SIZE):
            await work.engine.driver.truncate(size)
        assert await work.engine.read(0, 12288) == (b"x" * 4608).ljust(12288, b"\0")

    asyncio.run(run())


@pytest.mark.parametrize("is_raw", [False, True])
@pytest.mark.parametrize("request_kind", ["discard", "zero"])
def test_what_was_discarded_is_old_or_zero_when_the_process_dies(is_raw: bool, request_kind: str) -> None:
    """Zeroes in the file would be neither: they decrypt to something else."""

    async def run() -> None:
        options = {"cluster-size": 4096, "external": True, "data-file-raw": is_raw}
        work = Work(random.Random(8), LUKS, options)
        await work.create()
        await work.engine.write(0, b"x" * 8192)
        await work.engine.driver.close()
        opened = context(work.children, OPENED["luks"], discard=True)
        engine = Engine(await Qcow2Driver.open(opened))
        await (engine.discard(0, 4096) if request_kind == "discard" else engine.zero(0, 4096, may_unmap=True))
        left: dict[str, BlockChild] = {
            name: MemoryFile(file.data)
            for name, file in work.children.items()
            if isinstance(file, MemoryFile)
        }
        found = Engine(await Qcow2Driver.open(context(left, OPENED["luks"], read_only=True)))
        got = await found.read(0, 8192)
        assert got[:4096] in {b"x" * 4096, bytes(4096)}
        assert got[4096:] == b"x" * 4096

    asyncio.run(run())


def test_nothing_heavy_is_loaded_for_images_that_are_not_encrypted() -> None:
    loaded = "import sys, qmpserver.drivers.qcow2.driver; print({'numpy', 'cryptography'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
