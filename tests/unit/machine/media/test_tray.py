"""Trays open and close, and media come and go, as a client and a guest allow."""

import pytest

from qmpserver.errors import NodeInUse, QMPError
from qmpserver.machine.media import tray
from tests.unit.machine.media.fake_device import Bench, FakeDevice, cd, on_bench


@on_bench
async def test_a_tray_that_the_guest_holds_stays_closed_until_it_is_overruled(bench: Bench) -> None:
    await bench.node("n", read_only=True)
    drive = await bench.attach(cd(), "n")
    drive.is_locked = True
    with pytest.raises(tray.TrayIsLocked, match="'cd' is locked and force was not specified, wait for tray"):
        await tray.eject(drive, "cd")
    assert not drive.is_tray_open
    assert (await bench.machine.block_info(flat=True))[0]["locked"] is True
    await tray.eject(drive, "cd", force=True)
    assert (drive.is_tray_open, drive.is_locked, drive.medium) == (True, False, None)


@on_bench
async def test_a_tray_tells_of_each_move_once(bench: Bench) -> None:
    drive = await bench.attach(cd())
    for _ in range(2):
        tray.open_tray(drive, "cd")
    for _ in range(2):
        tray.close_tray(drive, "cd")
    assert [data["tray-open"] for data in bench.named("DEVICE_TRAY_MOVED")] == [True, False]


@on_bench
async def test_a_floppy_has_no_tray_and_changes_its_medium_all_the_same(bench: Bench) -> None:
    node = await bench.node("n")
    drive = await bench.attach(FakeDevice("fd", is_removable=True))
    with pytest.raises(tray.HasNoTray, match="'fd' does not have a tray"):
        tray.open_tray(drive, "fd")
    await tray.exchange(drive, "fd", node)
    assert drive.medium is node
    await tray.eject(drive, "fd")
    assert drive.medium is None
    assert bench.events == []


@on_bench
async def test_a_medium_that_a_job_works_on_stays_in(bench: Bench) -> None:
    node = await bench.node("n")
    drive = await bench.attach(FakeDevice("fd", is_removable=True), "n")
    node.busy_reasons.append("a job works on it")
    with pytest.raises(NodeInUse, match="a job works on it"):
        await tray.eject(drive, "fd")
    assert drive.medium is node


@on_bench
async def test_a_medium_that_another_user_writes_is_not_taken_in(bench: Bench) -> None:
    node = await bench.node("n")
    await bench.attach(FakeDevice("disk"), "n")
    drive = await bench.attach(FakeDevice("fd", is_removable=True))
    with pytest.raises(NodeInUse, match="Permission conflict"):
        await tray.insert_medium(drive, node)
    assert drive.medium is None
    await bench.machine.blockdev_add({"driver": "null-co", "node-name": "m"})
    await tray.insert_medium(drive, bench.machine.graph.find("m"))


@on_bench
async def test_what_cannot_be_taken_out_is_refused_by_name(bench: Bench) -> None:
    node = await bench.node("n")
    drive = await bench.disk("n")
    with pytest.raises(QMPError, match="Device 'x' is not removable"):
        tray.open_tray(drive, "x", force=True)
    with pytest.raises(QMPError, match="Device 'x' is not removable"):
        await tray.remove_medium(drive, "x")
    with pytest.raises(QMPError, match="Device is not removable"):
        await tray.insert_medium(drive, node)
