"""Plug in the drives that ``-drive`` says the bus of, and not the device."""

from qmpserver.errors import QMPError
from qmpserver.machine.devices.tree import DeviceTree
from qmpserver.machine.media.drive import Drive
from qmpserver.machine.media.placement import Place
from qmpserver.machine.media.store import DriveStore

_FLOPPY_BUS = "floppy-bus.0"


async def plug_in_board_drives(tree: DeviceTree, drives: DriveStore) -> None:
    """Plug in drives for the buses that a board has itself, before any device that a user adds.

    Raises:
        QMPError: The board has no such bus, or the device cannot be.
    """
    for drive in drives:
        place = _open_place(drive)
        if place is not None and place.interface in ("ide", "floppy"):
            options = _options(place)
            if place.interface == "floppy" and not any(bus.fits("floppy-bus") for bus in tree.buses()):
                await tree.add({"driver": "isa-fdc"}, at_start=True, by_default=True)
            if not any(bus.name == options["bus"] for bus in tree.buses()):
                raise QMPError(place.describe())
            await tree.add({**options, "drive": drive.name}, at_start=True, by_default=True)


async def plug_in_virtio_disks(tree: DeviceTree, drives: DriveStore) -> None:
    """Plug in drives for virtio, after the devices that a user adds; no drive may then be left over.

    Raises:
        QMPError: The board has no place for one, or the device cannot be.
    """
    for drive in drives:
        place = _open_place(drive)
        if place is None:
            continue
        if place.interface != "virtio":
            raise QMPError(place.describe())
        await tree.add({"driver": "virtio-blk-pci", "drive": drive.name}, at_start=True)


def _open_place(drive: Drive) -> Place | None:
    place = drive.place
    return place if place is not None and place.interface != "none" and drive.user is None else None


def _options(place: Place) -> dict[str, str | int]:
    if place.interface == "floppy":
        return {"driver": "floppy", "bus": _FLOPPY_BUS, "unit": place.unit}
    driver = "ide-cd" if place.is_cdrom else "ide-hd"
    return {"driver": driver, "bus": f"ide.{place.bus}", "unit": place.unit}
