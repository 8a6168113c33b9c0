"""A device's requests fail, are held and go on as its error policy says, and keep to its limits."""

import asyncio
import errno
from pathlib import Path
from typing import Any

import pytest

from qmpserver.machine.media import tray
from qmpserver.machine.media.drive import Drive
from qmpserver.machine.media.throttle_limits import limits_of
from qmpserver.units import NS_PER_SECOND
from tests.unit.machine.media.fake_device import Bench, cd, on_bench

EIO = {"iotype": "write", "errno": errno.EIO}
NO_SPACE = {"iotype": "write", "errno": errno.ENOSPC, "once": True}
DATA = memoryview(b"x" * 512)


def into(length: int = 512) -> memoryview:
    return memoryview(bytearray(length))


def counts(drive: Drive) -> dict[str, int]:
    wire = drive.statistics.to_wire(0)
    return {name: value for name, value in wire.items() if value and name.endswith("operations")}


@on_bench
async def test_requests_reach_the_medium_and_are_counted(bench: Bench) -> None:
    await bench.node("n")
    drive = await bench.disk("n")
    await drive.requests.pread(0, into())
    await drive.requests.pwrite(512, DATA)
    await drive.requests.pwrite_zeroes(0, 4096)
    await drive.requests.pdiscard(0, 4096)
    await drive.requests.flush()
    assert counts(drive) == {
        "rd_operations": 1,
        "wr_operations": 2,
        "unmap_operations": 1,
        "flush_operations": 1,
    }
    assert drive.statistics.to_wire(0)["wr_bytes"] == 4608


@on_bench
async def test_a_request_past_the_end_makes_no_sense_and_is_no_error_of_the_medium(bench: Bench) -> None:
    await bench.node("n")
    drive = await bench.disk("n", werror="stop")
    with pytest.raises(OSError, match="Input/output") as caught:
        await drive.requests.pwrite((1 << 20) - 1, DATA)
    assert caught.value.errno == errno.EIO
    assert counts(drive) == {"invalid_wr_operations": 1}
    assert bench.events == []


@on_bench
async def test_a_reported_error_is_told_and_counted(bench: Bench) -> None:
    await bench.failing("n", EIO)
    drive = await bench.disk("n", werror="report")
    with pytest.raises(OSError, match="Input/output"):
        await drive.requests.pwrite(0, DATA)
    assert counts(drive) == {"failed_wr_operations": 1}
    assert bench.events == [
        (
            "BLOCK_IO_ERROR",
            {
                "qom-path": "/machine/peripheral/disk",
                "device": "",
                "node-name": "n",
                "operation": "write",
                "action": "report",
                "reason": "Input/output error",
            },
        )
    ]


@on_bench
async def test_an_ignored_error_is_told_and_the_request_ends_well(bench: Bench) -> None:
    await bench.failing("n", EIO)
    drive = await bench.disk("n", werror="ignore")
    await drive.requests.pwrite(0, DATA)
    assert counts(drive) == {"wr_operations": 1}
    assert bench.named("BLOCK_IO_ERROR")[0]["action"] == "ignore"


@on_bench
async def test_without_space_the_machine_stops_and_goes_on_with_the_request(bench: Bench) -> None:
    await bench.failing("n", NO_SPACE)
    drive = await bench.disk("n")
    bench.machine.state.start()
    writing = asyncio.create_task(drive.requests.pwrite(0, DATA))
    await bench.turns()
    assert not writing.done()
    assert (drive.requests.held, drive.io_status) == (1, "nospace")
    assert bench.machine.state.status == "io-error"
    assert [name for name, _ in bench.events] == ["RESUME", "BLOCK_IO_ERROR", "STOP"]
    assert bench.named("BLOCK_IO_ERROR")[0]["nospace"] is True
    bench.machine.state.resume()
    await writing
    assert (drive.requests.held, drive.io_status) == (0, "ok")
    assert counts(drive) == {"wr_operations": 1}


@on_bench
async def test_an_error_that_lasts_stops_the_machine_each_time(bench: Bench) -> None:
    await bench.failing("n", EIO)
    drive = await bench.disk("n", werror="stop")
    bench.machine.state.start()
    writing = asyncio.create_task(drive.requests.pwrite(0, DATA))
    for times in (1, 2, 3):
        await bench.turns()
        assert len(bench.named("STOP")) == times
        assert not writing.done()
        bench.machine.state.resume()
    await bench.turns()
    await bench.machine.drives.close()
    with pytest.raises(OSError, match="cancel") as caught:
        await writing
    assert caught.value.errno == errno.ECANCELED


@on_bench
async def test_whoever_waits_for_work_is_let_go_when_it_is_held(bench: Bench) -> None:
    await bench.failing("n", NO_SPACE)
    drive = await bench.disk("n")
    assert await drive.requests.until_held(drive.requests.pread(0, into())) is True
    assert await drive.requests.until_held(drive.requests.pwrite(0, DATA)) is False
    with pytest.raises(OSError, match="Input/output"):
        await drive.requests.until_held(drive.requests.pread(1 << 20, into()))
    assert drive.requests.held == 1
    drive.resume()
    await bench.turns()
    assert counts(drive) == {"rd_operations": 1, "wr_operations": 1, "invalid_rd_operations": 1}


@on_bench
async def test_a_reset_lets_held_requests_fail_and_closes_trays(bench: Bench) -> None:
    await bench.failing("n", NO_SPACE)
    drive, opened = await bench.disk("n"), await bench.attach(cd())
    tray.open_tray(opened, "cd")
    writing = asyncio.create_task(drive.requests.pwrite(0, DATA))
    await bench.turns()
    bench.machine.state.reset()
    with pytest.raises(OSError, match="cancel"):
        await writing
    assert not opened.is_tray_open
    assert len(bench.named("DEVICE_TRAY_MOVED")) == 1


@on_bench
async def test_many_held_requests_go_on_together(bench: Bench) -> None:
    await bench.failing("n", *[NO_SPACE] * 3)
    drive = await bench.disk("n")
    bench.machine.state.start()
    writes = [asyncio.create_task(drive.requests.pwrite(512 * number, DATA)) for number in range(3)]
    await bench.turns()
    assert drive.requests.held == 3
    assert len(bench.named("STOP")) == 1
    bench.machine.state.resume()
    await asyncio.gather(*writes)
    assert counts(drive) == {"wr_operations": 3}


@on_bench
async def test_a_held_request_that_nobody_waits_for_any_more_is_forgotten(bench: Bench) -> None:
    await bench.failing("n", NO_SPACE)
    drive = await bench.disk("n")
    writing = asyncio.create_task(drive.requests.pwrite(0, DATA))
    await bench.turns()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert drive.requests.held == 0
    drive.resume()
    assert counts(drive) == {}


@on_bench
async def test_a_read_is_under_its_own_policy(bench: Bench) -> None:
    await bench.failing("n", {"iotype": "read", "errno": errno.EIO})
    drive = await bench.disk("n", werror="stop", rerror="report")
    with pytest.raises(OSError, match="Input/output"):
        await drive.requests.pread(0, into())
    assert bench.named("BLOCK_IO_ERROR")[0]["operation"] == "read"
    assert bench.named("STOP") == []


@on_bench
async def test_without_a_medium_or_with_an_open_tray_there_is_no_medium(bench: Bench) -> None:
    await bench.node("n", read_only=True)
    drive = await bench.attach(cd(), "n")
    await drive.requests.pread(0, into())
    tray.open_tray(drive, "cd")
    for _ in range(2):
        with pytest.raises(OSError, match="medium") as caught:
            await drive.requests.pread(0, into())
        assert caught.value.errno == errno.ENOMEDIUM
        await drive.remove()


@pytest.mark.parametrize("write_cache", ["on", "off"])
@on_bench
async def test_only_a_drive_that_writes_through_waits_for_the_disk(
    bench: Bench, write_cache: str, tmp_path: Path
) -> None:
    image = str(tmp_path / "image")
    await bench.machine.create_image(image, "qcow2", {"size": 1 << 20})
    error = {"event": "none", "iotype": "flush", "errno": errno.EIO}
    disk = {"driver": "blkdebug", "image": {"driver": "file", "filename": image}, "inject-error": [error]}
    await bench.node("n", "qcow2", file=disk)
    drive = await bench.disk("n", write_cache=write_cache, werror="ignore")
    await drive.requests.pwrite(0, DATA)
    assert len(bench.named("BLOCK_IO_ERROR")) == (write_cache == "off")


@on_bench
async def test_limits_hold_reads_and_writes_up_but_not_flushes(bench: Bench) -> None:
    await bench.node("n")
    drive = await bench.disk("n")
    drive.limit(limits_of({"iops": 1}))
    await drive.requests.pread(0, into())
    reading = asyncio.create_task(drive.requests.pread(0, into()))
    await bench.turns()
    assert not reading.done()
    await drive.requests.flush()
    await drive.requests.pdiscard(0, 512)
    bench.clock.advance(NS_PER_SECOND)
    await reading


@on_bench
async def test_drives_of_a_group_share_its_limits(bench: Bench) -> None:
    drives = []
    for name in ("a", "b"):
        await bench.node(name)
        drives.append(await bench.disk(name))
        drives[-1].limit(limits_of({"iops": 1}), "g")
    await drives[0].requests.pread(0, into())
    reading = asyncio.create_task(drives[1].requests.pread(0, into()))
    await bench.turns()
    assert not reading.done()
    drives[1].unlimit()
    await reading


@on_bench
async def test_a_drive_that_goes_lets_go_what_its_limits_hold(bench: Bench) -> None:
    await bench.node("n")
    drive = await bench.disk("n")
    drive.limit(limits_of({"iops": 1}))
    tasks = [asyncio.create_task(drive.requests.pread(0, into())) for _ in range(3)]
    await bench.turns()
    async with bench.machine.graph.lock:
        await bench.drives.detach(drive)
    ends: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
    assert ends[0] is None
    assert [type(end) for end in ends[1:]] == [OSError, OSError]
