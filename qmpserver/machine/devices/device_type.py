"""Describe a type of device."""

from collections.abc import Iterator
from dataclasses import dataclass

from qmpserver.machine.devices.properties import DeviceProperty, parse_properties
from qmpserver.qom.types import TypeTable


@dataclass(frozen=True, slots=True)
class BusOffer:
    """Buses that a device brings.

    Attributes:
        type_name: What kind of bus it is.
        count: How many there are.
        name: What it is called, if not after the device or its kind; ``id`` for the device's id itself.
    """

    type_name: str
    count: int = 1
    name: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceType:
    """A type of device.  What it does not say is as its parent's.

    Attributes:
        name: Its name.
        parent: The type it descends from.
        is_abstract: There are no devices of just this type.
        words: Its properties beyond those of its parent, see :mod:`~qmpserver.machine.devices.properties`.
        bus: The kind of bus it is plugged into; None as with its parent.
        offers: The buses it brings; None as with its parent.
        backend: The type of a device inside it that does its work and whose properties it has as well.
        category: The heading under which ``-device help`` lists it; None if users cannot make one.
        alias: Another name that users may give it.
        description: A few words for ``-device help``.
        hotpluggable: It can come and go while the machine is there; None as with its parent.
    """

    name: str
    parent: str
    words: str = ""
    is_abstract: bool = False
    bus: str | None = None
    offers: tuple[BusOffer, ...] | None = None
    backend: str | None = None
    category: str | None = None
    alias: str | None = None
    description: str | None = None
    hotpluggable: bool | None = None

    @property
    def own(self) -> tuple[DeviceProperty, ...]:
        """Its properties beyond those of its parent."""
        return parse_properties(self.words)

    @property
    def is_creatable(self) -> bool:
        """It is no object that ``object-add`` makes."""
        return False


class DeviceTypes:
    """The types of devices, with what each takes over from those it descends from.

    Args:
        types: Every type that a machine has, those that are no devices as well.
    """

    def __init__(self, types: TypeTable) -> None:
        self.table = types
        self._by_name = {entry.name: entry for entry in types if isinstance(entry, DeviceType)}
        self._by_alias = {entry.alias: entry for entry in self if entry.alias}

    def __iter__(self) -> Iterator[DeviceType]:
        return iter(self._by_name.values())

    def find(self, name: str) -> DeviceType | None:
        """Return the type of that name or alias, or None."""
        return self._by_name.get(name) or self._by_alias.get(name)

    def of(self, name: str) -> DeviceType:
        """Return the type of that name.

        Raises:
            KeyError: There is none.
        """
        return self._by_name[name]

    def bus_of(self, entry: DeviceType) -> str | None:
        """Return the kind of bus that devices of a type are plugged into, or None."""
        return next((found.bus for found in self.ancestry(entry) if found.bus is not None), None)

    def offers_of(self, entry: DeviceType) -> tuple[BusOffer, ...]:
        """Return the buses that a device of a type brings."""
        return next((found.offers for found in self.ancestry(entry) if found.offers is not None), ())

    def backend_of(self, entry: DeviceType) -> DeviceType | None:
        """Return the type of the device inside those of a type that does their work, or None."""
        name = next((found.backend for found in self.ancestry(entry) if found.backend is not None), None)
        return self._by_name[name] if name is not None else None

    def is_hotpluggable(self, entry: DeviceType) -> bool:
        """Say whether devices of a type can come and go while the machine is there."""
        said = (found.hotpluggable for found in self.ancestry(entry) if found.hotpluggable is not None)
        return next(said, True)

    def own_properties(self, entry: DeviceType) -> dict[str, DeviceProperty]:
        """Return the properties of a type by name, without those of a device inside."""
        found: dict[str, DeviceProperty] = {}
        for ancestor in reversed([*self.ancestry(entry)]):
            found.update((own.name, own) for own in ancestor.own)
        return found

    def ancestry(self, entry: DeviceType) -> Iterator[DeviceType]:
        """Go through a type and those it descends from as long as they are types of devices, itself first."""
        return (found for found in self.table.ancestry(entry.name) if isinstance(found, DeviceType))
