"""Drives of which only the bus is said are plugged in as QEMU does."""

import pytest

from qmpserver.errors import QMPError
from qmpserver.machine.devices.board_drives import plug_in_board_drives, plug_in_virtio_disks
from qmpserver.machine.machine import Machine
from tests.unit.machine.devices.machines import MakeMachine, waits


async def plug_in(machine: Machine, *drives: dict[str, str]) -> list[tuple[str, str, str]]:
    """Add drives and devices for them; return each drive's device, its type and its bus."""
    for given in drives:
        await machine.drives.add_legacy({"file": "null-co://", "format": "raw", **given})
    await plug_in_board_drives(machine.devices, machine.drives)
    await plug_in_virtio_disks(machine.devices, machine.drives)
    found = [(device.drive.name, device) for device in machine.devices if device.drive]
    return sorted((name, device.type.name, device.bus.name if device.bus else "") for name, device in found)


@waits
async def test_a_pc_has_two_ide_buses_a_floppy_bus_and_room_for_virtio(make_machine: MakeMachine) -> None:
    machine = make_machine("pc")
    assert await plug_in(
        machine,
        {"if": "ide"},
        {"if": "ide", "media": "cdrom", "index": "2"},
        {"if": "floppy"},
        {"if": "virtio"},
    ) == [
        ("floppy0", "floppy", "floppy-bus.0"),
        ("ide0-hd0", "ide-hd", "ide.0"),
        ("ide1-cd0", "ide-cd", "ide.1"),
        ("virtio0", "virtio-blk-device", "virtio-bus"),
    ]


@waits
async def test_q35_has_one_disk_on_each_bus_and_a_floppy_controller_where_there_is_a_floppy(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine("q35")
    assert await plug_in(machine, {"if": "ide"}, {"if": "ide"}, {"if": "floppy"}) == [
        ("floppy0", "floppy", "floppy-bus.0"),
        ("ide0-hd0", "ide-hd", "ide.0"),
        ("ide1-hd0", "ide-hd", "ide.1"),
    ]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"if": "scsi"}, "machine type does not support if=scsi,bus=0,unit=0"),
        ({"if": "ide", "bus": "7"}, "machine type does not support if=ide,bus=7,unit=0"),
    ],
)
@waits
async def test_a_drive_for_a_bus_that_a_board_has_not_got_is_refused(
    make_machine: MakeMachine, given: dict[str, str], text: str
) -> None:
    with pytest.raises(QMPError, match=text):
        await plug_in(make_machine("pc"), given)


@waits
async def test_a_drive_that_a_device_is_to_name_is_left_alone(make_machine: MakeMachine) -> None:
    assert await plug_in(make_machine("pc"), {"if": "none", "id": "d"}) == []
