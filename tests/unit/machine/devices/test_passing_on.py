"""A device that passes SCSI commands on needs a device of the host that takes them, and is what that is."""

import errno
import os

import pytest

from qmpserver.errors import QMPError
from qmpserver.machine.machine import Machine
from qmpserver.machine.media.drive import Drive
from qmpserver.machine.media.scsi_command import SG_IO, send_command
from tests.unit.drivers.host_device.fake_kernel import FakeKernel
from tests.unit.machine.devices.machines import waits

DISK = bytes((0, 0, 5, 2, 31, 0, 0, 0)) + b"FAKE    DISK            1.0 "
DISC = bytes((5, 0x80)) + DISK[2:]
INQUIRY = bytes((0x12, 0, 0, 0, 36, 0))
MODE_SENSE = bytes((0x1A, 0, 0x3F, 0, 255, 0))
SG_GET_VERSION_NUM = 0x2282
SG_GET_SCSI_ID = 0x2276


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    kernel = FakeKernel(monkeypatch)
    kernel.be_scsi(DISK)
    return kernel


async def plug(machine: Machine, driver: str, drive: str = "h") -> Drive:
    if machine.graph.get("h") is None:
        await machine.blockdev_add({"driver": "host_device", "node-name": "h", "filename": "/dev/null"})
    device = await machine.devices.add({"driver": driver, "id": "g", "drive": drive})
    assert device.drive is not None
    return device.drive


@waits
async def test_commands_reach_the_device_of_the_host_and_its_answers_come_back(
    machine: Machine, kernel: FakeKernel
) -> None:
    requests = (await plug(machine, "scsi-generic")).requests
    outcome = await send_command(requests, INQUIRY, length_in=255)
    assert outcome.is_good
    assert outcome.data == DISK
    refused = await send_command(requests, MODE_SENSE, length_in=255)
    assert (refused.status, refused.is_good, refused.sense[:3]) == (2, False, b"\x70\0\x05")
    assert (await send_command(requests, bytes(6))).is_good
    for command in (b"", bytes(256)):
        with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
            await send_command(requests, command)
    kernel.answers[SG_IO] = -errno.ENODEV
    with pytest.raises(OSError, match=os.strerror(errno.ENODEV)):
        await send_command(requests, INQUIRY, length_in=36)


@pytest.mark.parametrize(
    ("driver", "answer", "text"),
    [
        (
            "scsi-generic",
            (SG_GET_VERSION_NUM, -errno.EINVAL),
            "cannot get SG_IO version number: Invalid argument",
        ),
        ("scsi-generic", (SG_GET_VERSION_NUM, 0), "scsi generic interface too old"),
        ("scsi-generic", (SG_GET_SCSI_ID, -errno.ENOTTY), "SG_GET_SCSI_ID ioctl failed"),
        (
            "scsi-block",
            (SG_GET_VERSION_NUM, -errno.EPERM),
            "cannot get SG_IO version number: Operation not per",
        ),
        ("scsi-block", (SG_IO, -errno.EIO), "INQUIRY failed"),
        ("scsi-block", None, "INQUIRY failed"),
    ],
)
@waits
async def test_a_device_that_takes_no_scsi_commands_is_refused_and_free_again(
    machine: Machine, kernel: FakeKernel, driver: str, answer: tuple[int, int] | None, text: str
) -> None:
    if answer is None:
        kernel.be_scsi(b"")
    else:
        kernel.answers |= dict([answer])
    before = [device.qom_path for device in machine.devices]
    with pytest.raises(QMPError, match=text):
        await plug(machine, driver)
    assert [device.qom_path for device in machine.devices] == before
    kernel.be_scsi(DISK)
    await plug(machine, driver)


@waits
async def test_a_disc_of_the_host_can_be_taken_out(machine: Machine, kernel: FakeKernel) -> None:
    assert not (await plug(machine, "scsi-block")).is_removable
    await machine.devices.remove("g")
    kernel.be_scsi(DISC)
    drive = await plug(machine, "scsi-block")
    assert drive.is_removable
    assert drive.has_tray


@waits
async def test_a_guest_moves_and_locks_the_tray_of_the_hosts_drive(
    machine: Machine, kernel: FakeKernel
) -> None:
    cdrom = {"driver": "host_cdrom", "node-name": "cd", "filename": "/dev/null", "read-only": True}
    await machine.blockdev_add(cdrom)
    await machine.blockdev_add({"driver": "raw", "node-name": "r", "file": "cd", "read-only": True})
    device = await machine.devices.add({"driver": "scsi-cd", "id": "c", "drive": "r"})
    assert device.drive is not None
    available = [device.drive.is_available]
    kernel.answers[0x5326] = 4
    assert [*available, device.drive.is_available] == [False, True]
    kernel.seen.clear()
    device.drive.lock_medium(is_locked=True)
    device.drive.eject(is_open=True)
    assert kernel.seen == [(0x5329, 1), (0x5309, 0)]
    assert (device.drive.is_locked, device.drive.is_tray_open) == (True, True)


@waits
async def test_a_disk_is_not_made_of_an_empty_drive_of_the_host(machine: Machine, kernel: FakeKernel) -> None:
    kernel.answers[0x5326] = 1
    await machine.blockdev_add({"driver": "host_cdrom", "node-name": "cd", "filename": "/dev/null"})
    with pytest.raises(QMPError, match="Device needs media, but drive is empty"):
        await machine.devices.add({"driver": "scsi-hd", "drive": "cd"})


@waits
async def test_a_request_of_a_devices_own_needs_a_device_and_a_medium(
    machine: Machine, kernel: FakeKernel
) -> None:
    disk = await machine.devices.add({"driver": "scsi-hd", "drive": "n"})
    empty = await machine.devices.add({"driver": "scsi-cd"})
    for device, number in ((disk, errno.ENOTSUP), (empty, errno.ENOMEDIUM)):
        assert device.drive is not None
        with pytest.raises(OSError, match=os.strerror(number)):
            await device.drive.requests.ioctl(SG_IO, bytearray(1))
    assert kernel.seen == []
