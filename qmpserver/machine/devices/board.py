"""Build what a board carries by itself: its processors, bridges and controllers, as facts of QEMU 11.1.

A device of a board lies at ``/machine/unattached/device[N]``, in the order in which they are made, unless it has a
name or is part of another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qmpserver.machine.devices.device import ROOT_BUS, Bus, Device
from qmpserver.machine.devices.making import new_device
from qmpserver.machine.devices.tree import DeviceTree
from qmpserver.machine.devices.types.table import DEVICE_TYPES

_EEPROMS = 8
_TRANSPORTS = 24


@dataclass(frozen=True, slots=True)
class _Part:
    """A device of a board.

    Attributes:
        type_name: Its type.
        bus: The bus that it is on; None for none.
        name: What the board calls it, or None.
        part_of: The type of the device that it is part of, or None.
        values: Properties that the board sets.
    """

    type_name: str
    bus: str | None = ROOT_BUS
    name: str | None = None
    part_of: str | None = None
    values: Mapping[str, int | bool] = field(default_factory=dict)


_INTERRUPTS = (_Part("isa-i8259", "isa.0"), _Part("isa-i8259", "isa.0"))
_TIMERS = (_Part("hpet"), _Part("isa-pit", "isa.0"), _Part("isa-pcspk", "isa.0"))
_KEYBOARD = (
    _Part("i8042", "isa.0"),
    _Part("ps2-kbd", name="ps2kbd", part_of="i8042"),
    _Part("ps2-mouse", name="ps2mouse", part_of="i8042"),
    _Part("vmport", "isa.0"),
    _Part("vmmouse", "isa.0"),
    _Part("port92", "isa.0"),
)
_EEPROM_ROW = (_Part("smbus-eeprom", "i2c"),) * _EEPROMS

_I440FX = (
    _Part("fw_cfg_io", name="fw_cfg"),
    _Part("i440FX-pcihost", name="i440fx"),
    _Part("i440FX", "pci.0", values={"addr": 0}),
    _Part("ioapic", name="ioapic", part_of="i440FX-pcihost"),
    _Part("PIIX3", "pci.0", values={"addr": 0x08, "multifunction": True}),
    _Part("mc146818rtc", "isa.0", "rtc", "PIIX3"),
    _Part("i8257", "isa.0", "dma[0]", "PIIX3"),
    _Part("i8257", "isa.0", "dma[1]", "PIIX3"),
    _Part("piix3-ide", "pci.0", "ide", "PIIX3", {"addr": 0x09}),
    _Part("PIIX4_PM", "pci.0", "pm", "PIIX3", {"addr": 0x0B}),
    *_INTERRUPTS,
    *_TIMERS,
    _Part("isa-fdc", "isa.0"),
    *_KEYBOARD,
    *_EEPROM_ROW,
)

_Q35 = (
    _Part("q35-pcihost", name="q35"),
    _Part("fw_cfg_io", name="fw_cfg"),
    _Part("mch", "pcie.0", "mch", "q35-pcihost", {"addr": 0}),
    _Part("ICH9-LPC", "pcie.0", values={"addr": 0xF8, "multifunction": True}),
    _Part("ioapic", name="ioapic", part_of="q35-pcihost"),
    _Part("mc146818rtc", "isa.0", "rtc", "ICH9-LPC"),
    _Part("i8257", "isa.0", "dma[0]", "ICH9-LPC"),
    _Part("i8257", "isa.0", "dma[1]", "ICH9-LPC"),
    *_INTERRUPTS,
    *_TIMERS,
    *_KEYBOARD,
    _Part("ich9-ahci", "pcie.0", values={"addr": 0xFA, "multifunction": True}),
    _Part("ICH9-SMB", "pcie.0", values={"addr": 0xFB, "multifunction": True}),
    *_EEPROM_ROW,
)

_MICROVM = (
    _Part("fw_cfg_io", name="fw_cfg"),
    _Part("isabus-bridge"),
    _Part("ioapic", name="ioapic"),
    _Part("ioapic"),
    *(_Part("virtio-mmio"),) * _TRANSPORTS,
    _Part("acpi-ged"),
    *_INTERRUPTS,
    _Part("isa-pit", "isa.0"),
    _Part("mc146818rtc", "isa.0"),
)

_PARTS = {"pc": _I440FX, "q35": _Q35, "microvm": _MICROVM}
"""What the families of boards carry; others nothing that clients use."""


def build_board(
    tree: DeviceTree, family: str, cpu_type: str | None, places: Sequence[Mapping[str, int]]
) -> None:
    """Add what a board carries.

    Args:
        tree: It has no devices yet.
        family: The kind of board, as `pc`.
        cpu_type: The type of its processors, or None when it has none.
        places: Where each of the processors is: its `socket-id`, `core-id` and so on.
    """
    for number, place in enumerate(places if cpu_type is not None and cpu_type in DEVICE_TYPES.table else ()):
        ids = {"apic-id": number, "die-id": 0, "module-id": 0, **place}
        _add(tree, _Part(cpu_type or "", None, values=ids))
        if number == 0 and family in _PARTS:
            _add(tree, _Part("kvmvapic"))
    wholes: dict[str, Device] = {}
    for part in _PARTS.get(family, ()):
        device = _add(tree, part, wholes.get(part.part_of or ""))
        wholes.setdefault(part.type_name, device)


def _add(tree: DeviceTree, part: _Part, whole: Device | None = None) -> Device:
    device = new_device(DEVICE_TYPES.of(part.type_name))
    device.values.update(part.values)
    if whole is not None:
        tree.objects.add_part(part.name or "", device, whole)
    elif part.name is not None:
        tree.objects.add_named(part.name, device)
    else:
        tree.objects.add_unattached(device)
    tree.add_of_board(device, _bus(tree, part.bus))
    return device


def _bus(tree: DeviceTree, name: str | None) -> Bus | None:
    if name is None:
        return None
    return next(bus for bus in tree.buses() if bus.name == name)
