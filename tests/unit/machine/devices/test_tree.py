"""Devices are added whole or not at all, found, and removed with what is in them."""

import asyncio
from typing import Any

import pytest

from qmpserver.chardevs.chardev import NullChardev
from qmpserver.clock import ManualClock
from qmpserver.errors import DeviceNotFound, QMPError
from qmpserver.machine.machine import Machine
from qmpserver.units import NS_PER_SECOND
from tests.unit.machine.devices.machines import MakeMachine, waits


def disk(device_id: str, drive: str, **more: Any) -> dict[str, Any]:
    return {"driver": "virtio-blk-pci", "id": device_id, "drive": drive, **more}


def paths(machine: Machine) -> set[str]:
    return {device.qom_path for device in machine.devices}


@waits
async def test_a_device_is_found_by_its_id_and_by_its_path(machine: Machine) -> None:
    added = await machine.devices.add(disk("a", "n"))
    assert machine.devices.find("a") is added
    assert machine.devices.find("/machine//peripheral/a/") is added
    assert machine.devices.find("/machine/peripheral/a/virtio-backend") is added.backend


@waits
async def test_devices_without_an_id_are_numbered_and_no_number_comes_twice(machine: Machine) -> None:
    first = await machine.devices.add({"driver": "usb-tablet"})
    await machine.devices.remove(first.qom_path)
    second = await machine.devices.add({"driver": "usb-tablet"})
    assert [first.qom_path, second.qom_path] == [f"/machine/peripheral-anon/device[{n}]" for n in (0, 1)]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (disk("s", "n"), "Duplicate device ID 's'"),
        (disk("a", "nothing"), "can't find value 'nothing'"),
        (disk("a", "n", addr="1"), "in use by PIIX3"),
        (disk("a", "n", bootindex=-1, logical_block_size=4096), "logical_block_size > physical_block_size"),
        ({"driver": "scsi-hd", "drive": "n", "lun": 20000}, "bad scsi device lun"),
        (
            {"driver": "scsi-generic", "drive": "n"},
            "cannot get SG_IO version number: Operation not supported",
        ),
        ({"driver": "qemu64-x86_64-cpu", "socket-id": 1}, "Processors cannot be added"),
    ],
)
@waits
async def test_what_is_refused_leaves_nothing(machine: Machine, options: dict[str, Any], text: str) -> None:
    before = paths(machine)
    with pytest.raises(QMPError, match=text):
        await machine.devices.add(options)
    assert paths(machine) == before
    assert not list(machine.drives)
    assert not machine.graph.find("n").parents


@waits
async def test_a_drive_that_cannot_be_shared_is_refused_and_nothing_remains(machine: Machine) -> None:
    await machine.devices.add(disk("a", "n"))
    before = paths(machine)
    with pytest.raises(QMPError, match=r"unshared by block device '/machine/peripheral/b/virtio-backend'"):
        await machine.devices.add(disk("b", "n"))
    assert paths(machine) == before
    assert (await machine.devices.add(disk("b", "m"))).values["addr"] == 5 * 8


@waits
async def test_removing_a_controller_removes_what_is_plugged_into_it_first(
    machine: Machine, gone: list[str]
) -> None:
    for number, drive in enumerate(("n", "m")):
        await machine.devices.add({"driver": "scsi-hd", "drive": drive, "id": f"d{number}"})
    await machine.devices.remove("s")
    backend = "/machine/peripheral/s/virtio-backend"
    assert gone == ["/machine/peripheral/d1", "/machine/peripheral/d0", backend, "/machine/peripheral/s"]
    assert not list(machine.drives)
    assert not machine.graph.find("n").parents
    with pytest.raises(QMPError, match="No 'SCSI' bus found for device 'scsi-hd'"):
        await machine.devices.add({"driver": "scsi-hd", "drive": "n"})


@waits
async def test_a_device_told_to_go_while_what_it_is_plugged_into_goes_has_gone_with_it(
    machine: Machine, gone: list[str]
) -> None:
    await machine.devices.add({"driver": "scsi-hd", "drive": "n", "id": "d"})
    async with machine.graph.lock:
        leaving = [asyncio.create_task(machine.devices.remove(name)) for name in ("s", "d")]
        await asyncio.sleep(0)
    await asyncio.gather(*leaving)
    assert sorted(gone) == [f"/machine/peripheral/{path}" for path in ("d", "s", "s/virtio-backend")]


@waits
async def test_a_pci_device_goes_after_the_delay_and_only_once(
    machine: Machine, clock: ManualClock, gone: list[str]
) -> None:
    machine.devices.unplugging.delay_ns = 5 * NS_PER_SECOND
    await machine.devices.add(disk("a", "n"))
    await machine.devices.remove("a")
    with pytest.raises(QMPError, match="Device a is already in the process of unplug"):
        await machine.devices.remove("a")
    clock.advance(5 * NS_PER_SECOND - 1)
    await asyncio.sleep(0)
    assert gone == []
    clock.advance(1)
    while len(gone) < 2:
        await asyncio.sleep(0)
    assert gone == ["/machine/peripheral/a/virtio-backend", "/machine/peripheral/a"]


@waits
async def test_a_reset_lets_devices_go_that_wait_and_the_delay_does_nothing_more(
    machine: Machine, clock: ManualClock, gone: list[str]
) -> None:
    machine.devices.unplugging.delay_ns = NS_PER_SECOND
    await machine.devices.add(disk("a", "n"))
    await machine.devices.remove("a")
    machine.state.reset()
    while len(gone) < 2:
        await asyncio.sleep(0)
    await machine.devices.add(disk("a", "n"))
    clock.advance(NS_PER_SECOND)
    await asyncio.sleep(0)
    assert machine.devices.find("a").device_id == "a"


@waits
async def test_devices_on_other_buses_do_not_wait_for_the_delay(machine: Machine, gone: list[str]) -> None:
    machine.devices.unplugging.delay_ns = NS_PER_SECOND
    await machine.devices.add({"driver": "scsi-hd", "drive": "n", "id": "d"})
    await machine.devices.remove("d")
    assert gone == ["/machine/peripheral/d"]


@waits
async def test_a_device_of_the_board_stays(machine: Machine) -> None:
    with pytest.raises(QMPError, match="Device 'i440FX' does not support hotplugging"):
        await machine.devices.remove("/machine/unattached/device[2]")
    with pytest.raises(QMPError, match="Device 'qemu64-x86_64-cpu' can not be hotunplugged on this machine"):
        await machine.devices.remove("/machine/unattached/device[0]")
    with pytest.raises(QMPError, match="/machine/peripheral is not a device"):
        await machine.devices.remove("/machine/peripheral")
    with pytest.raises(DeviceNotFound):
        await machine.devices.remove("/machine/nothing")


@waits
async def test_a_chardev_is_free_again_when_its_device_has_gone(machine: Machine) -> None:
    await machine.chardevs.add(NullChardev("c"))
    await machine.devices.add({"driver": "pci-serial", "id": "p", "chardev": "c"})
    with pytest.raises(QMPError, match="is busy"):
        machine.chardevs.remove("c")
    await machine.devices.remove("p")
    machine.chardevs.remove("c")


@waits
async def test_a_usb_disk_is_a_scsi_disk_inside_which_has_the_drive(
    machine: Machine, gone: list[str]
) -> None:
    added = await machine.devices.add({"driver": "usb-storage", "id": "k", "drive": "n", "removable": True})
    inner = machine.devices.find("/machine/peripheral/k/k.0/legacy[0]")
    assert inner.drive is not None
    assert inner.has_tray
    assert (added.get_property("drive"), inner.get_property("drive")) == ("", "n")
    await machine.devices.remove("k")
    assert gone == [inner.qom_path, added.qom_path]


@waits
async def test_the_last_usb_port_is_given_to_a_hub(machine: Machine) -> None:
    ports = [(await machine.devices.add({"driver": "usb-tablet"})).usb_port for _ in range(5)]
    assert ports == ["1", "2", "3", "4.1", "4.2"]
    assert machine.devices.find("/machine/unattached/device[22]").type.name == "usb-hub"


@waits
async def test_a_device_that_is_refused_has_taken_no_port_of_a_hub(machine: Machine) -> None:
    for _ in range(3):
        await machine.devices.add({"driver": "usb-tablet"})
    with pytest.raises(QMPError, match="drive property not set"):
        await machine.devices.add({"driver": "usb-storage"})
    assert not any(device.type.name == "usb-hub" for device in machine.devices)


@waits
async def test_devices_of_a_type_get_what_was_said_of_it_unless_told_otherwise(
    make_machine: MakeMachine,
) -> None:
    settings = (
        ("scsi-disk-base", "vendor", "them"),
        ("scsi-hd", "serial", "s"),
        ("virtio-scsi-device", "hotplug", "off"),
        ("PIIX4_PM", "disable_s3", "1"),
    )
    machine = make_machine(settings=settings)
    await machine.blockdev_add({"driver": "null-co", "node-name": "n"})
    controller = await machine.devices.add({"driver": "virtio-scsi-pci"}, at_start=True)
    options = {"driver": "scsi-hd", "drive": "n", "serial": "mine"}
    with pytest.raises(QMPError, match=r"Bus 'scsi\.0' does not support hotplugging"):
        await machine.devices.add(options)
    added = await machine.devices.add(options, at_start=True)
    assert (added.values["vendor"], added.values["serial"]) == ("them", "mine")
    assert controller.get_property("hotplug") is False
    assert machine.devices.find("/machine/unattached/device[3]/pm").values["disable_s3"] == 1


def test_what_is_said_of_a_type_in_vain_names_it(make_machine: MakeMachine) -> None:
    with pytest.raises(QMPError, match=r"can't apply global hpet\.nope=1: Property 'hpet\.nope' not found"):
        make_machine(settings=(("hpet", "nope", "1"),))


@waits
async def test_two_clients_who_add_the_same_id_at_once_do_not_both_succeed(machine: Machine) -> None:
    async with machine.graph.lock:
        adding = [asyncio.create_task(machine.devices.add(disk("a", drive))) for drive in ("n", "m")]
        await asyncio.sleep(0)
    results = await asyncio.gather(*adding, return_exceptions=True)
    assert [isinstance(result, QMPError) for result in results] == [False, True]


@waits
async def test_a_device_added_while_what_it_is_plugged_into_is_told_to_go_goes_as_well(
    machine: Machine, gone: list[str]
) -> None:
    async with machine.graph.lock:
        options = {"driver": "scsi-hd", "drive": "n", "id": "d"}
        adding = asyncio.create_task(machine.devices.add(options))
        await asyncio.sleep(0)
        leaving = asyncio.create_task(machine.devices.remove("s"))
        await asyncio.sleep(0)
    await asyncio.gather(adding, leaving)
    assert gone[0] == "/machine/peripheral/d"
    assert not machine.graph.find("n").parents


@waits
async def test_values_written_as_on_a_command_line_are_read(machine: Machine) -> None:
    written = {
        "share-rw": "on",
        "logical_block_size": "4k",
        "physical_block_size": "4096",
        "bootindex": "0x2",
    }
    added = await machine.devices.add(disk("a", "n", **written), is_text=True, at_start=True)
    assert added.values["share-rw"] is True
    assert (added.values["logical_block_size"], added.values["bootindex"]) == (4096, 2)
    assert not added.hotplugged
