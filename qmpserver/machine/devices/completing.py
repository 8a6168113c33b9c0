"""Work out the properties that a device was not told and that become known when it is plugged in."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from qmpserver.machine.devices.device import Device
from qmpserver.machine.devices.properties import UNSET
from qmpserver.machine.devices.realising import Neighbours
from qmpserver.units import SECTOR_SIZE

_DISCARD_GRANULARITY = 4096
_DEVICE_VERSION = "2.5+"
"""The version that emulated disks say they are of, for ever."""

_ISA_SERIAL = ((0x3F8, 4), (0x2F8, 3), (0x3E8, 4), (0x2E8, 3))
_MAC_PREFIX = "52:54:00:12:34"
_FIRST_MAC = 0x56
_CONSOLE_CLASS = 0x780
_NEVER_TOLD = (1 << 64) - 1
_GUEST_STATISTICS = (
    "stat-alloc-stalls",
    "stat-async-reclaims",
    "stat-async-scans",
    "stat-available-memory",
    "stat-direct-reclaims",
    "stat-direct-scans",
    "stat-disk-caches",
    "stat-free-memory",
    "stat-htlb-pgalloc",
    "stat-htlb-pgfail",
    "stat-major-faults",
    "stat-minor-faults",
    "stat-oom-kills",
    "stat-swap-in",
    "stat-swap-out",
    "stat-total-memory",
)
"""What a guest would tell of its memory."""

_HEADS, _SECTORS_A_TRACK = 16, 63
_FEWEST_CYLINDERS, _MOST_CYLINDERS, _MOST_UNTRANSLATED = 2, 16383, 1024

_FLOPPY_TYPES = {1474560: "144", 1228800: "120"}
"""Types of floppy disks by size; anything else is taken for the largest."""


def complete(device: Device, around: Neighbours) -> None:
    """Set what follows from a device that has its place, and from what else there is."""
    worker = device.backend or device
    for type_name, fill in _FILLS.items():
        if worker.is_a(type_name):
            fill(device, around)
    if "mac" in device.values and not device.values["mac"]:
        device.values["mac"] = _free_mac(around.devices)
    if device.value("disable-legacy") == "auto":
        device.values["disable-legacy"] = "on" if _is_below_a_port(device) else "off"


def complete_with_drive(device: Device) -> None:
    """Set what follows from the medium that a device begins with."""
    medium = device.drive.medium if device.drive else None
    size = medium.size if medium else 0
    values = device.values
    if "cyls" in values and not values["cyls"] and size:
        values.update(_geometry(size))
    if values.get("bios-chs-trans") == "auto":
        values["bios-chs-trans"] = "none" if values["cyls"] <= _MOST_UNTRANSLATED else "lba"
    if values.get("drive-type") == "auto":
        values["drive-type"] = _FLOPPY_TYPES.get(size, "288")


def _geometry(size: int) -> dict[str, int]:
    cylinders = size // SECTOR_SIZE // (_HEADS * _SECTORS_A_TRACK)
    return {
        "cyls": min(max(cylinders, _FEWEST_CYLINDERS), _MOST_CYLINDERS),
        "heads": _HEADS,
        "secs": _SECTORS_A_TRACK,
    }


def _free_mac(others: Iterable[Device]) -> str:
    used = {other.value("mac") for other in others}
    macs = (f"{_MAC_PREFIX}:{last:02x}" for last in range(_FIRST_MAC, 0x100))
    return next((mac for mac in macs if mac not in used), f"{_MAC_PREFIX}:{_FIRST_MAC:02x}")


def _is_below_a_port(device: Device) -> bool:
    bus = device.bus
    return (
        bus is not None
        and bus.type_name == "PCIE"
        and bus.parent is not None
        and bus.parent.is_a("pcie-port")
    )


def _set_vectors(device: Device, count: int) -> None:
    if device.value("vectors") == UNSET:
        device.values["vectors"] = count


def _fill_virtio_blk(device: Device, _around: Neighbours) -> None:
    _set_vectors(device, device.values["num-queues"] + 1)


def _fill_virtio_scsi(device: Device, around: Neighbours) -> None:
    if device.values["num_queues"] == UNSET:
        device.values["num_queues"] = around.cpus
    _set_vectors(device, device.values["num_queues"] + 3)


def _fill_virtio_serial(device: Device, _around: Neighbours) -> None:
    if device.value("class") == 0:
        device.values["class"] = _CONSOLE_CLASS


def _fill_balloon(device: Device, _around: Neighbours) -> None:
    _set_vectors(device, 2)
    device.values["guest-stats"] = {"last-update": 0, "stats": dict.fromkeys(_GUEST_STATISTICS, _NEVER_TOLD)}


def _fill_scsi_disk(device: Device, _around: Neighbours) -> None:
    values = device.values
    product = "QEMU CD-ROM" if device.type.name == "scsi-cd" else "QEMU HARDDISK"
    for name, value in (("vendor", "QEMU"), ("product", product), ("ver", _DEVICE_VERSION)):
        values[name] = values[name] or value
    values["device_id"] = values["device_id"] or values["serial"]
    _set_discard(values, _usual_discard(values))


def _fill_ide(device: Device, _around: Neighbours) -> None:
    assert device.bus is not None
    values = device.values
    values["ver"] = values["ver"] or _DEVICE_VERSION
    # QEMU: every place for a disk has a number of its own, whether there is a disk or not.
    values["serial"] = values["serial"] or f"QM{2 * device.bus.number + values['unit'] + 1:05}"
    _set_discard(values, SECTOR_SIZE)


def _fill_nvme(device: Device, _around: Neighbours) -> None:
    if device.value("drive"):
        _set_discard(device.values, _usual_discard(device.values))


def _usual_discard(values: Mapping[str, Any]) -> int:
    return max(int(values["logical_block_size"]), _DISCARD_GRANULARITY)


def _set_discard(values: dict[str, Any], granularity: int) -> None:
    if values["discard_granularity"] == UNSET:
        values["discard_granularity"] = granularity


def _fill_isa_serial(device: Device, _around: Neighbours) -> None:
    for name, value in zip(("iobase", "irq"), _ISA_SERIAL[device.values["index"]], strict=True):
        if device.values[name] == UNSET:
            device.values[name] = value


def _fill_usb(device: Device, _around: Neighbours) -> None:
    device.values["attached"] = True


_FILLS: Mapping[str, Callable[[Device, Neighbours], None]] = {
    "virtio-blk-device": _fill_virtio_blk,
    "virtio-scsi-common": _fill_virtio_scsi,
    "virtio-serial-device": _fill_virtio_serial,
    "virtio-balloon-device": _fill_balloon,
    "virtio-rng-device": lambda device, _around: _set_vectors(device, 2),
    "virtio-net-device": lambda device, _around: _set_vectors(device, 4),
    "scsi-hd": _fill_scsi_disk,
    "scsi-cd": _fill_scsi_disk,
    "ide-device": _fill_ide,
    "nvme": _fill_nvme,
    "nvme-ns": _fill_nvme,
    "isa-serial": _fill_isa_serial,
    "usb-device": _fill_usb,
}
"""What is set on a device of a type, or of one that descends from it."""
