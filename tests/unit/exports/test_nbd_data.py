"""What clients write through an export is what they and others read."""

import asyncio
import errno
import random
from pathlib import Path

import pytest

from qmpserver.block.node import Node
from qmpserver.driver_api.flags import FUA
from qmpserver.drivers.nbd.connection import NbdConnection
from qmpserver.errors import QMPError
from qmpserver.nbd.constants import Command, CommandFlag
from qmpserver.units import KiB
from tests.unit.exports.serving import SIZE, Stage, play, read, write

CLIENTS = 4
ROUNDS = 60


async def trouble(client: NbdConnection, seed: int, model: bytearray) -> None:
    """Do this and that to one client's part of the disk, several requests at once."""
    rng = random.Random(seed)
    begin, part = seed * (SIZE // CLIENTS), SIZE // CLIENTS
    for _ in range(ROUNDS // 4):
        cuts = sorted(rng.sample(range(part), 8))
        ranges = [(begin + start, end - start) for start, end in zip(cuts[::2], cuts[1::2], strict=True)]
        await asyncio.gather(*(change(client, rng, model, *where) for where in ranges))
        offset = begin + rng.randrange(part // 2)
        length = rng.randrange(1, part // 2)
        assert await read(client, offset, length) == model[offset : offset + length]


async def change(
    client: NbdConnection, rng: random.Random, model: bytearray, offset: int, length: int
) -> None:
    if rng.random() < 0.6:
        data = rng.randbytes(length)
        model[offset : offset + length] = data
        await write(client, offset, data)
    else:
        flags = rng.choice([CommandFlag.NONE, CommandFlag.NO_HOLE, CommandFlag.FUA])
        model[offset : offset + length] = bytes(length)
        await client.request(Command.WRITE_ZEROES, offset, length, flags=flags)
    if rng.random() < 0.2:
        await client.request(Command.FLUSH, 0, 0)


@pytest.mark.parametrize("driver", ["qcow2", "raw"])
def test_several_clients_at_once_leave_what_a_model_says(tmp_path: Path, driver: str) -> None:
    async def body(stage: Stage) -> None:
        model = bytearray(SIZE)
        async with stage.client() as one, stage.client() as two:
            await asyncio.gather(*(trouble((one, two)[seed % 2], seed, model) for seed in range(CLIENTS)))
            assert await read(two, 0, SIZE) == model
        into = bytearray(SIZE)
        async with stage.server.backend("n") as backend:
            await backend.pread(0, memoryview(into))
        assert into == model

    play(tmp_path, body, driver=driver)


def test_reads_that_are_answered_together_are_each_answered_with_their_own(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        data = random.Random(1).randbytes(SIZE)
        # Long enough for memory that is used again, and too short to be sent by themselves.
        length = 40 * KiB
        async with stage.client() as client:
            await write(client, 0, data)
            offsets = range(0, SIZE - length, length)
            answers = await asyncio.gather(*(read(client, offset, length) for offset in offsets))
        assert answers == [data[offset : offset + length] for offset in offsets]

    play(tmp_path, body)


def test_a_disk_mirrored_under_load_is_the_disk(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        model = bytearray(SIZE)
        target = str(tmp_path / "target")
        await stage.server.create_image(target, "qcow2", SIZE)
        file = {"driver": "file", "filename": target}
        await stage.execute("blockdev-add", driver="qcow2", node_name="t", file=file)
        async with stage.client() as client:
            work = asyncio.gather(*(trouble(client, seed, model) for seed in range(CLIENTS)))
            await stage.execute("blockdev-mirror", job_id="j", device="n", target="t", sync="full")
            await work
            while (await stage.execute("query-jobs"))[0]["status"] != "ready":
                await asyncio.sleep(0)
            more = asyncio.gather(*(trouble(client, seed, model) for seed in range(CLIENTS)))
            await stage.execute("job-complete", id="j")
            await more
            while await stage.execute("query-jobs"):
                await asyncio.sleep(0)
            # The export followed the job to its target.
            (export,) = await stage.execute("query-block-exports")
            assert export["node-name"] == "t"
            assert await read(client, 0, SIZE) == model

    play(tmp_path, body)


REFUSALS = [
    (Command.READ, SIZE, 1, 0, errno.EINVAL),
    (Command.READ, SIZE - 1, 2, 0, errno.EINVAL),
    (Command.READ, 0, (32 << 20) + 1, 0, errno.EINVAL),
    (Command.WRITE_ZEROES, SIZE - 512, 513, 0, errno.ENOSPC),
    (Command.WRITE_ZEROES, 0, 1 << 32, 0, errno.ENOSPC),
    (Command.TRIM, 0, 1 << 32, 0, errno.EINVAL),
    (Command.TRIM, (1 << 64) - 512, 512, 0, errno.EINVAL),
    (Command.CACHE, SIZE, 512, 0, errno.EINVAL),
    (Command.BLOCK_STATUS, SIZE, 512, 0, errno.EINVAL),
    (Command.BLOCK_STATUS, 0, 0, 0, errno.EINVAL),
    (Command.WRITE_ZEROES, 0, 512, CommandFlag.DF, errno.EINVAL),
    (Command.RESIZE, 0, 512, 0, errno.EINVAL),
]


def test_what_cannot_be_done_is_refused_and_the_client_goes_on(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        async with stage.client() as client:
            for command, offset, length, flags, number in REFUSALS:
                with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is what is looked at
                    await client.request(command, offset, length, flags=CommandFlag(flags))
                assert caught.value.errno == number, (command, offset, length)
            assert await read(client, SIZE - 3, 3) == bytes(3)

    play(tmp_path, body)


def test_what_is_past_the_end_is_not_written_though_its_data_is_taken_off(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        async with stage.client() as client:
            with pytest.raises(OSError, match="No space left"):
                await write(client, SIZE - 1, b"xy")
            await write(client, SIZE - 1, b"x")
            assert await read(client, SIZE - 2, 2) == b"\0x"

    play(tmp_path, body)


def test_block_status_tells_data_holes_and_dirty_bitmaps(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        await stage.execute("block-dirty-bitmap-add", node="n", name="b", granularity=65536)
        await stage.execute(
            "block-export-add",
            type="nbd",
            id="b",
            node_name="n",
            name="bitmaps",
            writable=True,
            bitmaps=["b"],
            allocation_depth=True,
        )
        asked = ("base:allocation", "qemu:allocation-depth", "qemu:dirty-bitmap:b")
        async with stage.client("bitmaps", asked) as client:
            await write(client, 65536, b"x" * 65536)
            told = await client.request(Command.BLOCK_STATUS, 0, SIZE)
            rest = SIZE - 131072
            by_name = {client.agreed.contexts[number]: extents for number, extents in told.items()}
            assert by_name == {
                asked[0]: [(65536, 3), (65536, 0), (rest, 3)],
                asked[1]: [(65536, 0), (65536, 1), (rest, 0)],
                asked[2]: [(65536, 0), (65536, 1), (rest, 0)],
            }
            with pytest.raises(QMPError, match="currently in use"):
                await stage.execute("block-dirty-bitmap-remove", node="n", name="b")
        await stage.execute("block-export-del", id="b", mode="hard")
        await stage.execute("block-dirty-bitmap-remove", node="n", name="b")

    play(tmp_path, body)


def test_a_writethrough_export_flushes_each_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    async def pwrite(self: Node, offset: int, data: memoryview, flags: int = 0) -> None:
        seen.append(flags)
        await whole(self, offset, data, flags)

    whole = Node.pwrite
    monkeypatch.setattr(Node, "pwrite", pwrite)

    async def body(stage: Stage) -> None:
        await stage.execute(
            "block-export-add", type="nbd", id="w", node_name="n", name="w", writable=True, writethrough=True
        )
        async with stage.client("w") as through, stage.client() as back:
            await write(back, 0, b"x" * 512)
            assert not seen[0] & FUA
            seen.clear()
            await write(through, 0, b"x" * 512)
            assert seen[0] & FUA

    play(tmp_path, body)


@pytest.mark.parametrize("driver", ["qcow2", "raw"])
def test_unaligned_writes_that_overlap_leave_what_one_of_them_wrote_and_nothing_else(
    tmp_path: Path, driver: str
) -> None:
    async def body(stage: Stage) -> None:
        rng = random.Random(1)
        async with stage.client() as one, stage.client() as two:
            for _ in range(20):
                base = rng.randrange(0, SIZE - 300000)
                before = await read(one, base, 300000)
                ranges = [(rng.randrange(200000), rng.randrange(1, 100000)) for _ in range(6)]
                writes = [
                    write((one, two)[at % 2], base + start, bytes([at + 1]) * length)
                    for at, (start, length) in enumerate(ranges)
                ]
                await asyncio.gather(*writes)
                after = await read(two, base, 300000)
                for place in [*rng.sample(range(300000), 400), *(start for start, _ in ranges)]:
                    writers = {at + 1 for at, (a, n) in enumerate(ranges) if a <= place < a + n}
                    assert after[place] in (writers or {before[place]}), place

    play(tmp_path, body, driver=driver)


def test_a_request_of_almost_4_gib_is_carried_out_or_refused_whole(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        big = (1 << 32) - 65536
        node = {"driver": "null-co", "node-name": "big", "size": 1 << 33, "read-zeroes": True}
        await stage.server.execute("blockdev-add", node)
        await stage.execute(
            "block-export-add", type="nbd", id="b", node_name="big", name="big", writable=True
        )
        async with stage.client("big") as client:
            for command in (Command.WRITE_ZEROES, Command.TRIM, Command.CACHE):
                await client.request(command, 65536, big)
            (extents,) = (await client.request(Command.BLOCK_STATUS, 0, big)).values()
            assert sum(length for length, _ in extents) <= big
            for command in (Command.READ, Command.WRITE_ZEROES):
                with pytest.raises(OSError):  # noqa: PT011 - one is too large, the other goes too far
                    await client.request(command, (1 << 33) - 512 if command != Command.READ else 0, big)
            assert await read(client, 0, 512) == bytes(512)

    play(tmp_path, body)
