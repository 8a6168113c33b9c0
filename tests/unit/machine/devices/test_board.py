"""Boards carry what QEMU's do, where QEMU's have it."""

import pytest

from qmpserver.commands import qom
from qmpserver.errors import QMPError
from qmpserver.machine.boards import find_board
from qmpserver.machine.config import Topology
from qmpserver.machine.machine import Machine
from tests.unit.machine.devices.machines import MakeMachine, waits


def types_at(machine: Machine, path: str) -> dict[str, str]:
    listed = qom.qom_list(machine, path=path)
    return {
        entry["name"]: entry["type"].removeprefix("child<").removesuffix(">")
        for entry in listed
        if entry["type"].startswith("child<")
    }


def test_pc_has_its_parts_where_qemu_has_them(make_machine: MakeMachine) -> None:
    machine = make_machine("pc")
    assert set(types_at(machine, "/machine")) == {
        *("unattached", "peripheral", "peripheral-anon", "i440fx", "fw_cfg"),
    }
    unattached = types_at(machine, "/machine/unattached")
    assert [unattached[f"device[{n}]"] for n in range(14)] == [
        *("qemu64-x86_64-cpu", "kvmvapic", "i440FX", "PIIX3", "isa-i8259", "isa-i8259", "hpet", "isa-pit"),
        *("isa-pcspk", "isa-fdc", "i8042", "vmport", "vmmouse", "port92"),
    ]
    piix = types_at(machine, "/machine/unattached/device[3]")
    assert piix == {
        "isa.0": "ISA",
        "rtc": "mc146818rtc",
        "dma[0]": "i8257",
        "dma[1]": "i8257",
        "ide": "piix3-ide",
        "pm": "PIIX4_PM",
    }
    assert types_at(machine, "/machine/unattached/device[3]/ide") == {"ide.0": "IDE", "ide.1": "IDE"}


def test_q35_has_its_parts_where_qemu_has_them(make_machine: MakeMachine) -> None:
    machine = make_machine("q35")
    unattached = types_at(machine, "/machine/unattached")
    assert [unattached[f"device[{n}]"] for n in (2, 5, 11, 12, 13, 21)] == [
        *("ICH9-LPC", "hpet", "port92", "ich9-ahci", "ICH9-SMB", "smbus-eeprom"),
    ]
    assert types_at(machine, "/machine/q35") == {"pcie.0": "PCIE", "mch": "mch", "ioapic": "ioapic"}
    assert set(types_at(machine, "/machine/unattached/device[12]")) == {f"ide.{n}" for n in range(6)}


@waits
async def test_microvm_has_transports_that_the_last_of_is_used_first(make_machine: MakeMachine) -> None:
    machine = make_machine("microvm")
    unattached = types_at(machine, "/machine/unattached")
    assert [unattached[f"device[{n}]"] for n in (2, 3, 4, 27, 28, 32)] == [
        *("isabus-bridge", "ioapic", "virtio-mmio", "virtio-mmio", "acpi-ged", "mc146818rtc"),
    ]
    await machine.blockdev_add({"driver": "null-co", "node-name": "n"})
    added = await machine.devices.add({"driver": "virtio-blk-device", "id": "a", "drive": "n"}, at_start=True)
    assert added.bus is not None
    assert added.bus.path == "/machine/unattached/device[27]/virtio-mmio-bus.23"
    assert added.qdev_path == "a"
    with pytest.raises(QMPError, match=r"Bus 'virtio-mmio-bus\.23' does not support hotplugging"):
        await machine.devices.remove("a")
    with pytest.raises(QMPError, match=r"Bus 'virtio-mmio-bus\.22' does not support hotplugging"):
        await machine.devices.add({"driver": "virtio-balloon-device"})


def test_a_board_without_anything_has_places_for_devices_all_the_same(make_machine: MakeMachine) -> None:
    machine = make_machine("none", cpu_model=None)
    assert set(types_at(machine, "/machine")) == {"unattached", "peripheral", "peripheral-anon"}
    assert types_at(machine, "/machine/unattached") == {"sysbus": "System"}


def test_each_processor_is_an_object_that_knows_its_place(make_machine: MakeMachine) -> None:
    machine = make_machine(topology=Topology(cpus=3, max_cpus=4, sockets=2, cores=2))
    paths = [f"/machine/unattached/device[{n}]" for n in (0, 2, 3)]
    for path, socket, core in zip(paths, (0, 0, 1), (0, 1, 0), strict=True):
        assert qom.qom_get(machine, path=path, property="type") == "qemu64-x86_64-cpu"
        assert qom.qom_get(machine, path=path, property="socket-id") == socket
        assert qom.qom_get(machine, path=path, property="core-id") == core


@pytest.mark.parametrize("board", ["pc", "q35", "none", "microvm", "isapc"])
def test_everything_in_the_tree_can_be_looked_at(make_machine: MakeMachine, board: str) -> None:
    machine = make_machine(board)
    found = find_board(board)
    assert found is not None
    assert qom.qom_get(machine, path="/machine", property="type") == f"{found.name}-machine"
    waiting, seen = ["/machine"], 0
    while waiting:
        path = waiting.pop()
        seen += 1
        for entry in qom.qom_list(machine, path=path):
            value = qom.qom_get(machine, path=path, property=entry["name"])
            if entry["type"].startswith("child<"):
                waiting.append(value)
    assert seen >= 5
