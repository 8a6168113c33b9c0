"""Whatever is added and removed, in whatever order, devices, buses, drives and nodes agree."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from qmpserver.clock import ManualClock
from qmpserver.errors import QMPError
from qmpserver.machine.machine import Machine
from tests.unit.machine.devices.conftest import SCHEMA

IDS = ("a", "b", "c")
NODES = ("n", "m", None)
DRIVERS = (
    *("virtio-blk-pci", "virtio-scsi-pci", "scsi-hd", "scsi-cd", "qemu-xhci", "usb-storage", "usb-tablet"),
    *("virtio-serial-pci", "virtserialport", "nvme", "nvme-ns", "pci-bridge", "e1000"),
)
ALWAYS: dict[str, dict[str, Any]] = {"nvme": {"serial": "s"}, "pci-bridge": {"chassis_nr": 1}}
WITH_A_DRIVE = ("virtio-blk-pci", "scsi-hd", "scsi-cd", "usb-storage", "nvme", "nvme-ns")

additions = st.tuples(
    st.sampled_from(DRIVERS),
    st.sampled_from((*IDS, None)),
    st.sampled_from(NODES),
    st.sampled_from((None, "a", "a.0", "pci.0")),
)
removals = st.sampled_from((*IDS, "/machine/peripheral-anon/device[0]"))


async def change(machine: Machine, wanted: tuple[Any, ...] | str) -> None:
    if isinstance(wanted, str):
        await machine.devices.remove(wanted)
        return
    driver, device_id, drive, bus = wanted
    said = {"id": device_id, "bus": bus, "drive": drive if driver in WITH_A_DRIVE else None}
    given_options = {name: value for name, value in said.items() if value is not None}
    await machine.devices.add({"driver": driver, **ALWAYS.get(driver, {}), **given_options})


def assert_in_order(machine: Machine) -> None:
    devices = list(machine.devices)
    paths = [device.qom_path for device in devices]
    assert len(set(paths)) == len(paths)
    plugged = [device for bus in machine.devices.buses() for device in bus.devices]
    assert set(plugged) == {device for device in devices if device.bus is not None}
    for device in devices:
        assert machine.devices.find(device.qom_path) is device
        assert device.bus is None or device in device.bus.devices
    users = {drive.user for drive in machine.drives}
    assert users == {device for device in devices if device.drive is not None}
    used = {drive.medium.node_name for drive in machine.drives if drive.medium is not None}
    assert used == {name for name in ("n", "m") if machine.graph.find(name).parents}


async def play(changes: list[tuple[Any, ...] | str]) -> None:
    machine = Machine(SCHEMA, ManualClock())
    for name in ("n", "m"):
        await machine.blockdev_add({"driver": "null-co", "node-name": name})
    try:
        for wanted in changes:
            before = {device.qom_path for device in machine.devices}
            try:
                await change(machine, wanted)
            except QMPError:
                assert {device.qom_path for device in machine.devices} == before
            assert_in_order(machine)
    finally:
        await machine.close()


@given(st.lists(st.one_of(additions, removals), max_size=25))
def test_devices_buses_drives_and_nodes_agree(changes: list[tuple[Any, ...] | str]) -> None:
    asyncio.run(play(changes))
