"""Find a place for a drive that ``-drive`` makes, and a name after it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qmpserver.errors import QMPError
from qmpserver.machine.media.legacy_options import DriveOptions


@dataclass(frozen=True, slots=True)
class Place:
    """Where a drive is to be plugged in.

    Attributes:
        interface: The kind of bus; `none` for a drive that a device is to name.
        bus: The number of the bus.
        unit: The number on it.
        is_cdrom: It is a CD-ROM.
    """

    interface: str
    bus: int
    unit: int
    is_cdrom: bool = False

    def describe(self) -> str:
        """Say what a board has not got."""
        return f"machine type does not support if={self.interface},bus={self.bus},unit={self.unit}"


USUAL_UNITS = {"ide": 2, "scsi": 7}
"""How many units there are on a bus, where that is known; on others there is one bus and no end to it."""


def place_of(
    options: DriveOptions,
    taken: Iterable[Place],
    usual_interface: str,
    units: Mapping[str, int] = USUAL_UNITS,
) -> Place:
    """Return the place that options ask for, or the first that is free.

    Args:
        options: What was said.
        taken: The places of other drives.
        usual_interface: What a drive is plugged into when nothing is said.
        units: How many units a bus has.

    Raises:
        QMPError: The place is taken, or there can be none such.
    """
    interface = options.interface or usual_interface
    used = {(place.bus, place.unit) for place in taken if place.interface == interface}
    most = units.get(interface, 0)
    index = options.index
    if index is not None:
        bus, unit = divmod(index, most) if most else (0, index)
    else:
        bus, unit = _free(options.bus or 0, options.unit, used, most)
    if most and unit >= most:
        raise QMPError(f"unit {unit} too big (max is {most - 1})")
    if (bus, unit) in used:
        number = index if index is not None else bus * most + unit
        raise QMPError(f"drive with bus={bus}, unit={unit} (index={number}) exists")
    return Place(interface, bus, unit, options.is_cdrom)


def _free(bus: int, unit: int | None, used: set[tuple[int, int]], most: int) -> tuple[int, int]:
    if unit is not None:
        return bus, unit
    unit = 0
    while (bus, unit) in used:
        unit += 1
        if most and unit >= most:
            bus, unit = bus + 1, 0
    return bus, unit


def name_of(place: Place, units: Mapping[str, int] = USUAL_UNITS) -> str:
    """Return the name of a drive that was given none: ``ide0-hd1``, ``virtio0``, ``floppy0``."""
    kind = ("-cd" if place.is_cdrom else "-hd") if place.interface in ("ide", "scsi") else ""
    if units.get(place.interface):
        return f"{place.interface}{place.bus}{kind}{place.unit}"
    return f"{place.interface}{kind}{place.unit}"
