"""Check what a device needs before it comes to be."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.machine.devices.device import Device
from qmpserver.machine.devices.properties import UNSET
from qmpserver.units import SECTOR_SIZE, MiB, is_power_of_two

_MAX_BLOCK_SIZE = 2 * MiB
_AUTO_QUEUES = 65535
_ISA_SERIAL_PORTS = 4

_NEEDS_DRIVE = {
    "virtio-blk-device": "drive property not set",
    "scsi-hd": "drive property not set",
    "scsi-generic": "drive property not set",
    "scsi-block": "drive property not set",
    "usb-storage": "drive property not set",
    "ide-hd": "No drive specified",
    "nvme-ns": "block backend not configured",
}
"""Devices that are nothing without a drive, and what is said of one that has none."""

_OPENS_EMPTY = ("scsi-cd", "ide-cd", "floppy")
"""Devices that have a drive in any case, which may be empty."""

_ONLY_ONE = {
    "vmcoreinfo": "at most one vmcoreinfo device is permitted",
    "virtio-balloon-device": "Only one balloon device is supported",
    "x86-iommu": "QEMU does not support multiple vIOMMUs for x86 yet.",
}

_DISK_SIDES = (("cyls", 65535), ("heads", 255), ("secs", 255))


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What a device is held against.

    Attributes:
        devices: All devices that there are.
        cpus: How many processors there are.
    """

    devices: Iterable[Device]
    cpus: int


def wants_drive(device: Device) -> bool:
    """Say whether a device is to be given a drive, which for some may be an empty one.

    Raises:
        QMPError: It needs one, and none is said.
    """
    owner = device.backend or device
    if not device.value("drive") and owner.type.name in _NEEDS_DRIVE:
        raise QMPError(_NEEDS_DRIVE[owner.type.name])
    return _has_drive(device)


def _has_drive(device: Device) -> bool:
    return bool(device.value("drive")) or device.type.name in _OPENS_EMPTY


def realise(device: Device, around: Neighbours) -> None:
    """Check a device, and set what the checks show.

    Raises:
        QMPError: It cannot be so.
    """
    worker = device.backend or device
    for type_name, text in _ONLY_ONE.items():
        if worker.is_a(type_name) and any(
            (other.backend or other).is_a(type_name) for other in around.devices
        ):
            raise QMPError(text)
    for type_name, check in _CHECKS.items():
        if worker.is_a(type_name):
            check(device, around)
    if "logical_block_size" in device.values and _has_drive(device) and device.type.name != "usb-storage":
        _set_block_sizes(device.values)
    if "cyls" in device.values:
        _check_geometry(device.values)


def _set_block_sizes(values: dict[str, Any]) -> None:
    logical = values["logical_block_size"] = values["logical_block_size"] or SECTOR_SIZE
    physical = values["physical_block_size"] = values["physical_block_size"] or SECTOR_SIZE
    if logical > physical:
        raise QMPError("logical_block_size > physical_block_size not supported")
    for name in ("min_io_size", "opt_io_size", "discard_granularity"):
        said = values[name]
        if said not in (0, UNSET) and said % logical:
            raise QMPError(f"{name} must be a multiple of logical_block_size")


def check_block_size(name: str, value: int) -> None:
    """See that a block size is a power of two in range.

    Raises:
        QMPError: It is not.
    """
    if value and not (SECTOR_SIZE <= value <= _MAX_BLOCK_SIZE and is_power_of_two(value)):
        raise QMPError(f"parameter {name} must be a power of 2 between {SECTOR_SIZE} and {_MAX_BLOCK_SIZE}")


def _check_geometry(values: Mapping[str, Any]) -> None:
    if any(values[name] for name, _most in _DISK_SIDES):
        for name, most in _DISK_SIDES:
            if not 1 <= values[name] <= most:
                raise QMPError(f"{name} must be between 1 and {most}")


def _check_virtio_blk(device: Device, around: Neighbours) -> None:
    values = device.values
    if values["num-queues"] == _AUTO_QUEUES:
        values["num-queues"] = around.cpus
    if not values["num-queues"]:
        raise QMPError("num-queues property must be larger than 0")
    if values["queue-size"] <= 2:
        raise QMPError(f"invalid queue-size property ({values['queue-size']}), must be > 2")


def _check_nvme(device: Device, _around: Neighbours) -> None:
    if not device.value("serial"):
        raise QMPError("serial property not set")


def _check_isa_serial(device: Device, around: Neighbours) -> None:
    used = {other.values["index"] for other in around.devices if other.is_a("isa-serial")}
    if device.values["index"] == UNSET:
        device.values["index"] = next(number for number in range(len(used) + 1) if number not in used)
    if device.values["index"] >= _ISA_SERIAL_PORTS:
        raise QMPError(f"Max. supported number of ISA serial ports is {_ISA_SERIAL_PORTS}.")


def _check_slot(device: Device, around: Neighbours) -> None:
    ours = device.values["chassis"], device.values["slot"]
    ports = (other for other in around.devices if other.is_a("pcie-slot"))
    if any((other.values["chassis"], other.values["slot"]) == ours for other in ports):
        raise QMPError("Can't add chassis slot, error -16")


def _check_bridge(device: Device, _around: Neighbours) -> None:
    if not device.values["chassis_nr"]:
        raise QMPError(
            "Bridge chassis not specified. Each bridge is required to be assigned a unique chassis id > 0."
        )


def _check_expander(device: Device, _around: Neighbours) -> None:
    assert device.bus is not None
    if device.type.name == "pxb-pcie" and device.bus.type_name != "PCIE":
        raise QMPError("pxb-pcie devices cannot reside on a PCI bus")
    if device.type.name == "pxb" and device.bus.type_name == "PCIE":
        raise QMPError("pxb devices cannot reside on a PCIe bus")


_CHECKS: Mapping[str, Callable[[Device, Neighbours], None]] = {
    "virtio-blk-device": _check_virtio_blk,
    "nvme": _check_nvme,
    "isa-serial": _check_isa_serial,
    "pcie-slot": _check_slot,
    "pci-bridge": _check_bridge,
    "pxb": _check_expander,
}
"""What is done for a device of a type, or of one that descends from it."""
