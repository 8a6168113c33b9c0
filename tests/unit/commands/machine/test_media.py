"""Commands that are older than QEMU 11.1 do what they did, and none changes anything when it is refused."""

from pathlib import Path
from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.server import Server
from tests.unit.machine.media.fake_device import Bench, cd, on_bench

NO_LIMITS = dict.fromkeys(("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)


def image(folder: Path) -> str:
    path = folder / "image"
    path.write_bytes(bytes(1 << 20))
    return str(path)


@on_bench
async def test_a_medium_is_changed_by_the_old_name_too(bench: Bench, tmp_path: Path) -> None:
    server = Server(daemon=bench.machine)
    drive = await bench.add_legacy({"if": "none", "id": "d"})
    await bench.attach(cd(), "d")
    await server.execute("change", {"device": "d", "target": image(tmp_path), "arg": "raw"})
    assert drive.medium is not None
    assert (drive.medium.driver.format_name, drive.is_tray_open) == ("raw", False)
    assert [data["tray-open"] for data in bench.named("DEVICE_TRAY_MOVED")] == [True, False]


@pytest.mark.parametrize(("name", "refusal"), [("d", "no longer supported"), ("x", "Device 'x' not found")])
@on_bench
async def test_a_password_is_not_taken(bench: Bench, name: str, refusal: str) -> None:
    server = Server(daemon=bench.machine)
    await bench.add_legacy({"if": "none", "id": "d"})
    with pytest.raises(QMPError, match=refusal):
        await server.execute("block_passwd", {"device": name, "password": "secret"})


@pytest.mark.parametrize(
    ("mode", "read_only"), [("retain", True), ("read-only", True), ("read-write", False)]
)
@on_bench
async def test_the_next_medium_is_opened_as_the_last_one_or_as_said(
    bench: Bench, tmp_path: Path, mode: str, read_only: bool
) -> None:
    server = Server(daemon=bench.machine)
    drive = await bench.add_legacy(
        {
            "if": "none",
            "id": "d",
            "driver": "null-co",
            "readonly": "on",
            "detect-zeroes": "on",
            "cache": "unsafe",
        }
    )
    arguments = {"device": "d", "filename": image(tmp_path), "format": "raw", "read-only-mode": mode}
    await server.execute("blockdev-change-medium", arguments)
    assert drive.medium is not None
    flags = drive.medium.flags
    assert (flags.read_only, flags.detect_zeroes, flags.no_flush) == (read_only, "on", True)


@on_bench
async def test_an_image_that_cannot_be_opened_leaves_the_old_one_in(bench: Bench) -> None:
    server = Server(daemon=bench.machine)
    node = await bench.node("n", read_only=True)
    drive = await bench.attach(cd(), "n")
    with pytest.raises(QMPError, match="Could not open 'none': No such file"):
        await server.execute("blockdev-change-medium", {"id": "cd", "filename": "none"})
    assert drive.medium is node
    assert bench.events == []


@on_bench
async def test_an_image_that_cannot_be_put_in_is_closed_again(bench: Bench, tmp_path: Path) -> None:
    server = Server(daemon=bench.machine)
    drive = await bench.attach(cd())
    drive.is_locked = True
    with pytest.raises(QMPError, match="is locked and force was not specified"):
        await server.execute("blockdev-change-medium", {"id": "cd", "filename": image(tmp_path)})
    assert drive.medium is None
    assert not list(bench.machine.graph)


@pytest.mark.parametrize(
    ("limits", "refusal"),
    [
        ({"iops": -1}, "must be within"),
        ({"iops": 10, "iops_max": 100, "iops_max_length": 0}, "the burst length cannot be 0"),
        ({"iops": 10, "iops_max": 100, "iops_max_length": -1}, "burst length too high"),
        ({"bps_max": 7}, "bps_max/iops_max require corresponding bps/iops values"),
    ],
)
@on_bench
async def test_limits_that_make_no_sense_leave_the_old_ones(
    bench: Bench, limits: dict[str, Any], refusal: str
) -> None:
    server = Server(daemon=bench.machine)
    await bench.node("n")
    drive = await bench.disk("n")
    await server.execute("block_set_io_throttle", {"id": "disk", **NO_LIMITS, "bps": 1000})
    with pytest.raises(QMPError, match=refusal):
        await server.execute("block_set_io_throttle", {"id": "disk", **NO_LIMITS, **limits})
    assert drive.throttle is not None
    assert drive.throttle.group.limits.bps_total.avg == 1000
