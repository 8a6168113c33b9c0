"""What an image holds is stored in the image below it, and then only there."""

from pathlib import Path

import pytest

from qmpserver.errors import QMPError
from qmpserver.machine.commit import commit
from tests.images import make_qcow2
from tests.unit.machine.devices.machines import waits
from tests.unit.machine.hmp.human import Person, person


async def chain_of(somebody: Person, folder: Path, *, base_size: str = "4M") -> None:
    make_qcow2(folder / "base.qcow2", base_size)
    make_qcow2(folder / "top.qcow2", "4M", backing_file="base.qcow2", backing_fmt="qcow2")
    await somebody.node("top", "qcow2", file={"driver": "file", "filename": str(folder / "top.qcow2")})


async def commit_top(somebody: Person) -> None:
    async with somebody.machine.graph.lock:
        await commit(somebody.machine.graph, somebody.machine.graph.find("top"))


@pytest.mark.parametrize("base_size", ["4M", "1M"])
def test_the_image_below_holds_all_of_it_afterwards(tmp_path: Path, base_size: str) -> None:
    @waits
    async def run() -> None:
        async with person() as somebody:
            await chain_of(somebody, tmp_path, base_size=base_size)
            async with somebody.server.backend("top", writable=True) as backend:
                await backend.pwrite(70_000, memoryview(b"x" * 100_000))
                await backend.pwrite(3 << 20, memoryview(b"y" * 512))
            await commit_top(somebody)
            top = somebody.machine.graph.find("top")
            assert not (await top.block_status(0, top.size)).is_allocated
            assert top.backing is not None
            assert (top.backing.size, top.backing.read_only) == (4 << 20, True)
            for node in (top, top.backing):
                into = memoryview(bytearray(100_002))
                await node.pread(69_999, into)
                assert bytes(into) == b"\0" + b"x" * 100_000 + b"\0"
                await node.pread(3 << 20, into[:513])
                assert bytes(into[:513]) == b"y" * 512 + b"\0"

    run()


@waits
async def test_an_image_that_a_job_works_on_is_left_alone(tmp_path: Path) -> None:
    async with person() as somebody:
        await chain_of(somebody, tmp_path)
        await somebody.node("target", size=4 << 20)
        await somebody.server.execute(
            "blockdev-mirror",
            {"job-id": "j", "device": "top", "target": "target", "sync": "full", "speed": 1},
        )
        with pytest.raises(QMPError, match="busy"):
            await commit_top(somebody)


@waits
async def test_where_nothing_lies_below_nothing_is_committed() -> None:
    async with person() as somebody:
        await somebody.node("top")
        with pytest.raises(OSError, match="not supported"):
            await commit_top(somebody)
