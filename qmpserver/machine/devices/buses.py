"""Make the buses that a device brings, and name them."""

from collections import Counter

from qmpserver.machine.devices.device import Bus, Device
from qmpserver.machine.devices.device_type import BusOffer
from qmpserver.machine.devices.types.table import DEVICE_TYPES


class BusMaker:
    """Makes buses; those of devices without an id are numbered by kind."""

    def __init__(self) -> None:
        self._numbers: Counter[str] = Counter()
        self._made: Counter[str] = Counter()

    def make(self, device: Device) -> None:
        """Give a device and what does its work inside the buses that they bring."""
        device.buses = self._make(device, device.device_id)
        if device.backend is not None:
            carrier = device.buses[0]
            device.backend.bus = carrier
            carrier.devices.append(device.backend)
            device.backend.buses = self._make(device.backend, device.device_id)

    def _make(self, device: Device, device_id: str | None) -> list[Bus]:
        if device.value("masterbus"):
            # A companion has no bus: its ports are its master's.
            return []
        buses: list[Bus] = []
        for offer in DEVICE_TYPES.offers_of(device.type):
            for _ in range(offer.count):
                name = self._name(offer, device_id, len(buses))
                buses.append(Bus(offer.type_name, name, device, self._made[offer.type_name]))
                self._made[offer.type_name] += 1
        return buses

    def _name(self, offer: BusOffer, device_id: str | None, number: int) -> str:
        if offer.name is not None and offer.name != "id":
            return offer.name
        if device_id is not None:
            return device_id if offer.name == "id" else f"{device_id}.{number}"
        self._numbers[offer.type_name] += 1
        return f"{offer.type_name.lower()}.{self._numbers[offer.type_name] - 1}"
