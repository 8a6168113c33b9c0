"""Firmware may lie in flash, which has a drive of its own, as on QEMU."""

from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.machine.devices.board_drives import plug_in_virtio_disks
from qmpserver.machine.devices.flash import plug_in_flash
from qmpserver.machine.machine import Machine
from qmpserver.units import MiB
from tests.unit.machine.devices.machines import MakeMachine, waits


async def furnished(make_machine: MakeMachine, **sizes: int) -> Machine:
    machine = make_machine("q35")
    for name, size in sizes.items():
        await machine.blockdev_add({"driver": "null-co", "node-name": name, "size": size})
    return machine


async def shown(machine: Machine) -> list[tuple[Any, ...]]:
    info = await machine.block_info(flat=True)
    return [(found["device"], found["qdev"], found["removable"]) for found in info]


@waits
async def test_flash_of_a_node_is_the_boards(make_machine: MakeMachine) -> None:
    machine = await furnished(make_machine, code=MiB, variables=4096)
    await plug_in_flash(machine.devices, machine.drives, {"pflash0": "code", "pflash1": "variables"})
    assert await shown(machine) == [
        ("", "/machine/system.flash0", False),
        ("", "/machine/system.flash1", False),
    ]
    board = machine.further_objects()["machine"]
    assert [board.get_property(name) for name in ("pflash0", "pflash1")] == ["code", "variables"]
    assert machine.devices.find("/machine/system.flash0").values["num-blocks"] == 256
    with pytest.raises(QMPError, match="does not support hotplugging"):
        await machine.devices.remove("/machine/system.flash0")


@waits
async def test_flash_of_a_drive_has_its_name_and_the_board_knows(make_machine: MakeMachine) -> None:
    machine = await furnished(make_machine)
    await machine.drives.add_legacy({"if": "pflash", "file": "null-co://", "format": "raw"})
    # null-co has 1 GiB unless it is told otherwise.
    with pytest.raises(QMPError, match="combined size of system firmware exceeds 8388608 bytes"):
        await plug_in_flash(machine.devices, machine.drives, {})
    await plug_in_virtio_disks(machine.devices, machine.drives)
    assert await shown(machine) == [("pflash0", "/machine/system.flash0", False)]


@pytest.mark.parametrize(
    ("named", "refusal"),
    [
        ({"pflash1": "code"}, "pflash1 requires pflash0"),
        ({"pflash0": "nosuch"}, "Property 'cfi.pflash01.drive' can't find value 'nosuch'"),
        ({"pflash0": "odd"}, "system firmware block device odd has invalid size 512"),
        ({"pflash0": "empty"}, "system firmware block device empty has invalid size 0"),
    ],
)
@waits
async def test_what_is_no_firmware_is_refused(
    make_machine: MakeMachine, named: dict[str, str], refusal: str
) -> None:
    machine = await furnished(make_machine, code=MiB, odd=512, empty=0)
    with pytest.raises(QMPError, match=refusal):
        await plug_in_flash(machine.devices, machine.drives, named)


@waits
async def test_flash_of_a_node_that_somebody_uses_is_not_there(make_machine: MakeMachine) -> None:
    machine = await furnished(make_machine, code=MiB)
    await machine.devices.add({"driver": "virtio-blk-pci", "drive": "code"}, at_start=True)
    with pytest.raises(QMPError, match="unshared by block device"):
        await plug_in_flash(machine.devices, machine.drives, {"pflash0": "code"})
    assert not machine.devices.objects.has("/machine/system.flash0")


@waits
async def test_flash_is_named_in_one_way_only(make_machine: MakeMachine) -> None:
    machine = await furnished(make_machine, code=MiB)
    await machine.drives.add_legacy({"if": "pflash", "file": "null-co://", "format": "raw"})
    with pytest.raises(QMPError, match="clashes with -machine"):
        await plug_in_flash(machine.devices, machine.drives, {"pflash0": "code"})


@waits
async def test_a_drive_beyond_the_flash_is_left_over(make_machine: MakeMachine) -> None:
    machine = await furnished(make_machine)
    await machine.drives.add_legacy({"if": "pflash", "index": "2", "file": "null-co://", "format": "raw"})
    await plug_in_flash(machine.devices, machine.drives, {})
    with pytest.raises(QMPError, match="machine type does not support if=pflash,bus=0,unit=2"):
        await plug_in_virtio_disks(machine.devices, machine.drives)
