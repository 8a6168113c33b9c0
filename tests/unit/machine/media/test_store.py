"""Devices come by their drives, and part with them."""

import pytest

from qmpserver.block import info
from qmpserver.driver_api.permissions import Permission
from qmpserver.errors import DeviceNotFound, NodeInUse, QMPError
from qmpserver.jobs.error_policy import OnError
from qmpserver.server import Server
from tests.unit.machine.media.fake_device import Bench, FakeDevice, cd, on_bench

READ, WRITE, UNCHANGED, RESIZE = (
    Permission.CONSISTENT_READ,
    Permission.WRITE,
    Permission.WRITE_UNCHANGED,
    Permission.RESIZE,
)


@on_bench
async def test_a_disk_writes_and_keeps_others_from_it(bench: Bench) -> None:
    node = await bench.node("n")
    drive = await bench.disk("n")
    assert drive.backend.root is not None
    assert drive.backend.root.permissions == (READ | WRITE, READ | UNCHANGED | RESIZE)
    with pytest.raises(NodeInUse, match=r"unshared by block device 'other'|required by block device 'other'"):
        await bench.attach(FakeDevice("other"), "n")
    assert [edge.parent.name for edge in node.parents] == ["disk"]
    assert [one.qdev_path for one in bench.drives] == ["disk"]


@on_bench
async def test_two_disks_that_share_write_one_node(bench: Bench) -> None:
    await bench.node("n")
    for name in ("a", "b"):
        await bench.attach(FakeDevice(name, properties={"share-rw": True}), "n")
    assert len(list(bench.drives)) == 2


@pytest.mark.parametrize(("needs_writable", "is_taken"), [(False, True), (True, False)])
@on_bench
async def test_a_disk_on_a_read_only_node_reads_or_is_refused(
    bench: Bench, needs_writable: bool, is_taken: bool
) -> None:
    await bench.node("n", read_only=True)
    device = FakeDevice(needs_writable=needs_writable)
    if is_taken:
        drive = await bench.attach(device, "n")
        assert drive.backend.root is not None
        assert drive.backend.root.used == READ
    else:
        with pytest.raises(QMPError, match="Block node is read-only"):
            await bench.attach(device, "n")
        assert not list(bench.drives)


@on_bench
async def test_what_is_attached_to_nothing_is_refused_by_name(bench: Bench) -> None:
    with pytest.raises(QMPError, match=r"^Property 'fake-disk.drive' can't find value 'x'$"):
        await bench.attach(FakeDevice(), "x")
    assert not list(bench.drives)


@on_bench
async def test_a_disk_needs_a_medium_and_a_drive_for_media_does_not(bench: Bench) -> None:
    await bench.add_legacy({"if": "none", "id": "d"})
    with pytest.raises(QMPError, match=r"^Device needs media, but drive is empty$"):
        await bench.attach(FakeDevice(), "d")
    drive = await bench.attach(cd(), "d")
    assert drive.user is not None


@on_bench
async def test_a_device_says_what_is_counted_and_what_becomes_of_errors(bench: Bench) -> None:
    await bench.add_legacy(
        {"if": "none", "id": "d", "driver": "null-co", "rerror": "stop", "werror": "ignore"}
    )
    properties = {
        "stats-intervals": [5],
        "account-failed": "off",
        "account-invalid": "auto",
        "werror": "report",
        "rerror": "auto",
    }
    drive = await bench.attach(FakeDevice(properties=properties), "d")
    wire = drive.statistics.to_wire(0)
    assert (wire["account_failed"], wire["account_invalid"]) == (False, True)
    assert [timed["interval_length"] for timed in wire["timed_stats"]] == [5]
    assert (drive.policy.rerror, drive.policy.werror) == (OnError.STOP, OnError.REPORT)


@pytest.mark.parametrize(
    ("rerror", "werror", "shown"),
    [
        ("report", "report", False),
        ("stop", "report", True),
        ("report", "enospc", True),
        ("ignore", "ignore", False),
    ],
)
@on_bench
async def test_an_io_status_is_shown_where_an_error_may_stop_the_machine(
    bench: Bench, rerror: str, werror: str, shown: bool
) -> None:
    await bench.node("n")
    await bench.disk("n", rerror=rerror, werror=werror)
    (wire,) = await bench.machine.block_info(flat=True)
    assert ("io-status" in wire) is shown


@on_bench
async def test_a_device_that_goes_leaves_the_node(bench: Bench) -> None:
    node = await bench.node("n")
    drive = await bench.disk("n")
    with pytest.raises(NodeInUse, match="Node n is in use"):
        await bench.machine.blockdev_del("n")
    async with bench.machine.graph.lock:
        await bench.drives.detach(drive)
    assert not node.parents
    await bench.machine.blockdev_del("n")
    assert not list(bench.drives)


@on_bench
async def test_a_device_that_never_came_to_be_leaves_a_named_drive_as_it_was(bench: Bench) -> None:
    drive = await bench.add_legacy({"if": "none", "id": "d", "driver": "null-co"})
    await bench.attach(FakeDevice(), "d")
    async with bench.machine.graph.lock:
        await bench.drives.detach(drive, keeps_name=True)
    assert bench.drives.named("d") is drive
    assert (drive.user, drive.is_removable) == (None, True)
    await bench.attach(FakeDevice(), "d")
    async with bench.machine.graph.lock:
        await bench.drives.detach(drive)
    assert bench.drives.named("d") is None
    assert not list(bench.machine.graph)


@on_bench
async def test_a_drive_deleted_under_its_device_has_no_medium_and_no_name(bench: Bench) -> None:
    drive = await bench.add_legacy({"if": "none", "id": "d", "driver": "null-co"})
    await bench.attach(FakeDevice(), "d")
    async with bench.machine.graph.lock:
        await bench.drives.delete(drive)
    assert (await bench.machine.block_info(flat=True)) == [
        {"device": "", "type": "unknown", "removable": False, "locked": False, "qdev": "disk"}
    ]
    assert not list(bench.machine.graph)


@on_bench
async def test_a_drive_is_found_by_its_name_or_its_device(bench: Bench) -> None:
    drive = await bench.attach(cd())
    assert bench.drives.find(qdev_id="cd") is drive
    assert bench.drives.find(qdev_id="/machine/peripheral/cd") is drive
    named = await bench.add_legacy({"if": "none", "id": "d"})
    assert bench.drives.find(device="d") is named
    for device, qdev_id in (("cd", None), (None, "d")):
        with pytest.raises(DeviceNotFound, match="not found"):
            bench.drives.find(device=device, qdev_id=qdev_id)
    with pytest.raises(QMPError, match="Need exactly one of 'device' and 'id'"):
        bench.drives.find()


@on_bench
async def test_a_drive_without_a_name_is_not_found_by_an_empty_one(bench: Bench) -> None:
    await bench.attach(cd())
    with pytest.raises(DeviceNotFound, match="Device '' not found"):
        bench.drives.find(device="")
    assert "" not in bench.drives


@on_bench
async def test_a_node_cannot_be_called_as_a_drive_is_nor_the_other_way_round(bench: Bench) -> None:
    await bench.add_legacy({"if": "none", "id": "d"})
    with pytest.raises(QMPError, match="node-name=d is conflicting with a device id"):
        await bench.node("d")
    await bench.node("n")
    with pytest.raises(QMPError, match="Device name 'n' conflicts with an existing node name"):
        await bench.add_legacy({"if": "none", "id": "n", "driver": "null-co"})
    assert [node.node_name for node in bench.machine.graph] == ["n"]


@on_bench
async def test_a_device_that_goes_takes_the_jobs_on_its_named_drive_along(bench: Bench) -> None:
    server = Server(daemon=bench.machine)
    drive = await bench.add_legacy({"if": "none", "id": "d", "driver": "null-co", "size": "1M"})
    await bench.attach(FakeDevice(), "d")
    await bench.node("target")
    await server.execute(
        "blockdev-mirror", {"device": "d", "target": "target", "sync": "full", "filter-node-name": "f"}
    )
    assert [job.job_id for job in bench.machine.jobs] == ["d"]
    async with bench.machine.graph.lock:
        await bench.drives.detach(drive)
    for _ in range(20):
        await bench.turns()
    assert not list(bench.machine.jobs)
    assert [node.node_name for node in bench.machine.graph] == ["target"]


@on_bench
async def test_a_job_on_a_drive_is_called_after_it(bench: Bench) -> None:
    drive = await bench.add_legacy({"if": "none", "id": "d", "driver": "null-co"})
    assert drive.medium is not None
    assert bench.machine.graph.devices.name_of(drive.medium) == "d"
    assert bench.machine.graph.find("d") is drive.medium


@on_bench
async def test_a_disk_gets_another_node_and_holds_of_it_what_it_held(bench: Bench) -> None:
    old, new = await bench.node("n"), await bench.node("m")
    drive = await bench.disk("n")
    await bench.drives.change(drive, "m")
    assert drive.backend.root is not None
    assert drive.backend.root.permissions == (READ | WRITE, READ | UNCHANGED | RESIZE)
    assert (old.parents, new.parents) == ([], [drive.backend.root])
    await drive.requests.pwrite(0, memoryview(b"x" * 512))
    await bench.drives.change(drive, "m")
    assert new.parents == [drive.backend.root]


@on_bench
async def test_a_disk_keeps_its_node_where_another_cannot_be_had(bench: Bench) -> None:
    node, other = await bench.node("n"), await bench.node("r", read_only=True)
    drive, _ = await bench.disk("n"), await bench.node("taken")
    await bench.attach(FakeDevice("other"), "taken")
    for name, text in (
        ("r", "Block node is read-only"),
        ("nope", "Cannot find device='' nor node-name='nope'"),
        ("taken", "Permission conflict on node 'taken'"),
    ):
        with pytest.raises(QMPError, match=f"^{text}"):
            await bench.drives.change(drive, name)
    assert drive.backend.node is node
    assert (node.parents, other.parents) == ([drive.backend.root], [])


@on_bench
async def test_an_empty_drive_gets_a_node(bench: Bench) -> None:
    await bench.node("r", read_only=True)
    drive = await bench.attach(cd("c"), None)
    await bench.drives.change(drive, "r")
    assert drive.medium is not None
    assert drive.medium.node_name == "r"


@on_bench
async def test_a_drive_that_goes_while_the_host_is_asked_is_not_shown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.node("n")
    drive = await bench.disk("n")

    async def while_it_goes(_nodes: object) -> dict[str, int]:
        async with bench.machine.graph.lock:
            await bench.drives.detach(drive)
        return {}

    monkeypatch.setattr(info, "allocated_sizes", while_it_goes)
    assert await bench.machine.block_info(flat=True) == []
