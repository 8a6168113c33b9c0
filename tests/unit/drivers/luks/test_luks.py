"""LUKS volumes hold what they are given and say what they are; the header may lie elsewhere."""

import asyncio
import random
from typing import Any

import pytest

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.extras import (
    SupportsAmend,
    SupportsAmendPermissions,
    SupportsCreate,
    SupportsReopen,
)
from qmpserver.driver_api.permissions import PERM_ALL, Permission
from qmpserver.driver_api.surroundings import Surroundings
from qmpserver.drivers.luks import LuksDriver
from qmpserver.errors import QMPError
from tests.contract.engine import Context, MemoryFile

SIZE = 1 << 20
SECRETS = {"s": b"pass", "t": b"other"}
AROUND = Surroundings(secret=SECRETS.__getitem__)
OPTIONS = {"size": SIZE, "key-secret": "s", "iter-time": 0, "cipher-alg": "aes-128"}


async def create(file: MemoryFile | None, **options: Any) -> None:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    await LuksDriver.create(file, OPTIONS | named, SECRETS.__getitem__)


async def opened(file: MemoryFile, *, key_secret: str | None = "s", **children: BlockChild) -> LuksDriver:
    options = {} if key_secret is None else {"key-secret": key_secret}
    return await LuksDriver.open(Context({"file": file, **children}, options=options, surroundings=AROUND))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cipher_alg": "aes-192"},
        {"cipher_mode": "cbc", "ivgen_alg": "essiv"},
        {"cipher_mode": "ctr", "hash_alg": "sha1"},
        {"cipher_alg": "cast5-128", "cipher_mode": "cbc", "ivgen_alg": "plain"},
        {"cipher_alg": "aes-192", "cipher_mode": "cbc", "hash_alg": "sha512"},
    ],
    ids=str,
)
def test_what_was_written_is_read_again(options: dict[str, Any]) -> None:
    async def run() -> None:
        rng = random.Random(str(options))
        file = MemoryFile()
        await create(file, **options)
        driver = await opened(file)
        assert driver.size == SIZE
        model = bytearray(SIZE)
        await driver.pwrite(0, memoryview(bytes(model)), 0)
        for _ in range(10):
            offset = rng.randrange(SIZE // 512) * 512
            data = rng.randbytes(min(rng.choice((512, 4096, 200704)), SIZE - offset))
            await driver.pwrite(offset, memoryview(data), 0)
            model[offset : offset + len(data)] = data
        await driver.close()
        into = bytearray(SIZE)
        await (await opened(file)).pread(0, memoryview(into), 0)
        assert into == model
        assert data[:64] not in file.data

    asyncio.run(run())


def test_the_header_may_be_kept_in_another_file() -> None:
    async def run() -> None:
        file, header = MemoryFile(), MemoryFile()
        await create(file, header=header)
        assert file.size == SIZE
        driver = await opened(file, header=header)
        await driver.pwrite(0, memoryview(b"x" * 512), 0)
        assert driver.size == SIZE
        assert driver.image_info()["format-specific"]["data"]["detached-header"] is True
        with pytest.raises(QMPError, match="Volume is not in LUKS format"):
            await opened(file)
        with pytest.raises(QMPError, match="LUKS payload is overlapping with the header"):
            await opened(header)
        await create(None, header=header)

    asyncio.run(run())


def test_the_driver_offers_what_it_should_and_knows_its_images() -> None:
    async def run() -> None:
        file = MemoryFile()
        await create(file)
        driver = await opened(file)
        for protocol in (SupportsCreate, SupportsReopen, SupportsAmend, SupportsAmendPermissions):
            assert isinstance(driver, protocol)
        assert LuksDriver.probe(bytes(file.data[:2048]), "") == 100
        assert LuksDriver.probe(b"LUKS\xba\xbe\0\2" + bytes(500), "") == 0
        assert driver.image_info()["encrypted"] is True
        assert driver.limits.request_alignment == 512
        await driver.truncate(SIZE + 100)
        assert driver.size == SIZE + 512
        with pytest.raises(OSError, match="The requested file size is too large"):
            await driver.truncate((1 << 63) - 1)

    asyncio.run(run())


def test_only_a_change_of_passphrases_needs_the_header_alone() -> None:
    async def run() -> None:
        file = MemoryFile()
        await create(file)
        driver = await opened(file)

        def needs() -> Any:
            return driver.child_permissions("file", Permission(0), PERM_ALL)

        before = needs()
        assert (before.used, before.shared) == (Permission.CONSISTENT_READ, PERM_ALL)
        driver.begin_amend()
        assert needs().used == Permission.CONSISTENT_READ | Permission.WRITE
        assert not needs().shared & (Permission.WRITE | Permission.CONSISTENT_READ)
        await driver.amend({"state": "active", "new-secret": "t", "iter-time": 0}, SECRETS.__getitem__)
        driver.end_amend()
        assert needs() == before
        await opened(file, key_secret="t")

    asyncio.run(run())


def test_a_volume_that_is_only_looked_at_needs_no_key() -> None:
    async def run() -> None:
        file = MemoryFile()
        await create(file)
        context = Context({"file": file}, read_only=True)
        context.no_io = True
        driver = await LuksDriver.open(context)
        assert driver.size == SIZE
        assert driver.image_info()["format-specific"]["data"]["cipher-alg"] == "aes-128"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"key_secret": None}, "Parameter 'key-secret' is required for cipher"),
        ({"size": -1}, "The requested file size is too large"),
        ({"size": (1 << 63) - 1}, "The requested file size is too large"),
        ({"cipher_alg": "serpent-256"}, "Algorithm 'serpent-256' not supported"),
        ({"cipher_alg": "cast5-128"}, "Unsupported cipher mode xts"),
        ({"ivgen_alg": "essiv", "ivgen_hash_alg": "sha1"}, "No AES cipher with key size 20 available"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_is_written(options: dict[str, Any], text: str) -> None:
    async def run() -> None:
        file = MemoryFile(b"old content")
        with pytest.raises(QMPError) as caught:
            await create(file, **options)
        assert caught.value.description == text
        assert file.data == b"old content"

    asyncio.run(run())


def test_a_volume_needs_somewhere_to_be() -> None:
    async def run() -> None:
        with pytest.raises(QMPError, match="Either the parameter 'header' or 'file' must be specified"):
            await create(None)
        with pytest.raises(QMPError, match="Parameter 'preallocation' requires 'file' to be specified"):
            await create(None, header=MemoryFile(), preallocation="full")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("key_secret", "text"),
    [
        (None, "Parameter 'key-secret' is required for cipher"),
        ("t", "Invalid password, cannot unlock any keyslot"),
    ],
)
def test_a_volume_is_not_opened_without_its_key(key_secret: str | None, text: str) -> None:
    async def run() -> None:
        file = MemoryFile()
        await create(file)
        with pytest.raises(QMPError) as caught:
            await opened(file, key_secret=key_secret)
        assert caught.value.description == text

    asyncio.run(run())


def test_a_file_that_ends_before_the_data_begins_is_refused() -> None:
    async def run() -> None:
        file = MemoryFile()
        await create(file)
        del file.data[1 << 20 :]
        with pytest.raises(QMPError, match="Could not refresh total sector count: Input/output error"):
            await opened(file)

    asyncio.run(run())
