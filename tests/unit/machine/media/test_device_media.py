"""A disk lives on a volume of the host that is made larger when it is full."""

import asyncio
from pathlib import Path

from tests.loop_devices import grow, loop_device
from tests.unit.machine.media.fake_device import Bench, on_bench

SIZE = 1 << 20
DATA = b"data" * 4096


async def end_of(task: "asyncio.Future[None]") -> None:
    await asyncio.shield(task)


@on_bench
async def test_a_full_volume_stops_the_machine_until_it_is_larger(bench: Bench, tmp_path: Path) -> None:
    with loop_device(tmp_path, b"\xa5" * SIZE) as device:
        await bench.machine.create_image(device, "qcow2", {"size": 16 * SIZE})
        file = {"driver": "host_device", "filename": device}
        node = await bench.node("q", "qcow2", file=file)
        drive = await bench.disk("q", werror="enospc")
        done, is_over = 0, True
        while is_over:
            writing = asyncio.ensure_future(drive.requests.pwrite(done, memoryview(DATA)))
            is_over = await drive.requests.until_held(end_of(writing))
            done += len(DATA)
            assert done <= SIZE
        assert drive.io_status == "nospace"
        assert [event["nospace"] for event in bench.named("BLOCK_IO_ERROR")] == [True]
        grow(device, tmp_path, 2 * SIZE)
        drive.resume()
        await writing
        into = bytearray(done)
        await drive.requests.pread(0, memoryview(into))
        assert into == (DATA * (done // len(DATA)))
        assert node.size == 16 * SIZE
        await bench.machine.close()
