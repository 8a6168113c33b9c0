"""Plug in the flash that a board's firmware lies in, which ``-machine pflash0=NODE`` or ``-drive if=pflash`` names."""

from collections.abc import Mapping

from qmpserver.errors import QMPError
from qmpserver.machine.devices.device import Device
from qmpserver.machine.devices.tree import DeviceTree
from qmpserver.machine.media.store import DriveStore
from qmpserver.units import MiB

_BANKS = 2
_SECTOR = 4096
_MOST = 8 * MiB


async def plug_in_flash(tree: DeviceTree, drives: DriveStore, named: Mapping[str, str]) -> None:
    """Plug in flash, before any device that a user adds.

    Args:
        tree: The devices of a board that has room for flash.
        drives: The drives.
        named: What the board was told; only `pflash0` and `pflash1` count.

    Raises:
        QMPError: There is no such node, both ways name one, or it is not as firmware is.
    """
    banks = {number: named[name] for number in range(_BANKS) if (name := f"pflash{number}") in named}
    for drive in drives:
        place = drive.place
        if place is None or place.interface != "pflash" or place.unit >= _BANKS:
            continue
        if place.unit in banks:
            raise QMPError("clashes with -machine")
        banks[place.unit] = drive.name
    if banks and 0 not in banks:
        raise QMPError("pflash1 requires pflash0")
    total = 0
    for number, drive_name in sorted(banks.items()):
        total += await _plug_in(tree, number, drive_name)
    if total > _MOST:
        raise QMPError(f"combined size of system firmware exceeds {_MOST} bytes")


async def _plug_in(tree: DeviceTree, number: int, drive_name: str) -> int:
    """Plug in one bank and return its size."""
    name = f"system.flash{number}"
    options = {
        "driver": "cfi.pflash01",
        "drive": drive_name,
        "name": name,
        "width": 1,
        "sector-length": _SECTOR,
    }
    device = await tree.add(options, at_start=True, by_default=True, board_name=name)
    size = _size(device)
    if not size or size % _SECTOR:
        raise QMPError(
            f"system firmware block device {drive_name} has invalid size {size}\n"
            f"its size must be a non-zero multiple of {_SECTOR:#x}"
        )
    device.values["num-blocks"] = size // _SECTOR
    return size


def _size(device: Device) -> int:
    medium = device.drive.medium if device.drive is not None else None
    return medium.size if medium is not None else 0
