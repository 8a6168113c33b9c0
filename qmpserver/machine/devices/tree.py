"""Keep all devices of a machine: find them, add and remove them."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from qmpserver.clock import Clock
from qmpserver.errors import DeviceNotFound, QMPError
from qmpserver.events import EventBus
from qmpserver.lock import Lock
from qmpserver.machine.devices.admission import check_hotplug, check_hotunplug, check_id, type_named
from qmpserver.machine.devices.buses import BusMaker
from qmpserver.machine.devices.completing import complete, complete_with_drive
from qmpserver.machine.devices.device import Bus, Device
from qmpserver.machine.devices.device_type import DeviceType
from qmpserver.machine.devices.making import (
    Setting,
    check_boot_index,
    new_device,
    set_by_type,
    set_properties,
)
from qmpserver.machine.devices.objects import MachineObjects, whole_path
from qmpserver.machine.devices.passing_on import examine
from qmpserver.machine.devices.placement import place
from qmpserver.machine.devices.realising import Neighbours, realise, wants_drive
from qmpserver.machine.devices.references import References
from qmpserver.machine.devices.search import all_buses, bus_for, bus_named
from qmpserver.machine.devices.types.table import DEVICE_TYPES
from qmpserver.machine.devices.unplugging import Unplugging
from qmpserver.machine.devices.usb_disk import make_disk
from qmpserver.machine.devices.usb_ports import claim_port
from qmpserver.machine.media.drive import Drive

NOT_PROPERTIES = ("driver", "bus", "id")
"""What is said of a device that is no property of it."""


class DeviceTree:
    """All devices.

    Args:
        references: What devices may name.
        events: Where it is told that a device has gone.
        clock: What the delay of unplugging is measured by.
        cpus: How many processors there are.
        settings: What devices of a type get unless they are told otherwise.

    Attributes:
        objects: The devices as objects with paths.
        unplugging: The devices that were told to go.
    """

    def __init__(
        self,
        references: References,
        events: EventBus,
        clock: Clock,
        cpus: int = 1,
        settings: Sequence[Setting] = (),
    ) -> None:
        self.objects = MachineObjects()
        self._references = references
        self._events = events
        self.unplugging = Unplugging(clock, self._part_with_all)
        self._cpus = cpus
        self._settings = settings
        self._buses = BusMaker()
        self._devices: list[Device] = []
        self._changes = Lock()

    def __iter__(self) -> Iterator[Device]:
        """Go through all devices, in the order they were added."""
        return iter(tuple(self._devices))

    @property
    def root_bus(self) -> Bus:
        """The bus at the root of all others."""
        return self.objects.root_bus

    def buses(self) -> Iterator[Bus]:
        """Go through all buses, as QEMU looks at them: the newest device of a bus first."""
        return all_buses(self.root_bus)

    def get(self, id_or_path: str) -> Device | None:
        """Return the device of that id or path, or None."""
        path = whole_path(id_or_path)
        return next((device for device in self._devices if device.qom_path == path), None)

    def find(self, id_or_path: str) -> Device:
        """Return the device of that id or path.

        Raises:
            DeviceNotFound: There is none.
            QMPError: There is something else at that path.
        """
        found = self.get(id_or_path)
        if found is not None:
            return found
        if self.objects.has(whole_path(id_or_path)):
            raise QMPError(f"{id_or_path} is not a device")
        raise DeviceNotFound(f"Device '{id_or_path}' not found", device=id_or_path)

    # Coming

    async def add(
        self,
        options: Mapping[str, Any],
        *,
        is_text: bool = False,
        at_start: bool = False,
        by_default: bool = False,
        board_name: str | None = None,
    ) -> Device:
        """Add a device.

        Args:
            options: Its `driver`, perhaps a `bus` and an `id`, and its properties.
            is_text: Values are written as on a command line, all of them strings.
            at_start: The machine is being made, so that it need not be one that can come later.
            by_default: It is one that a machine has unless it is told not to, which has no place among the user's.
            board_name: What the board calls it, or None when it gives it no name.

        Raises:
            QMPError: It cannot be; nothing remains of it.
        """
        async with self._changes:
            entry = type_named(options["driver"])
            bus = self._choose_bus(entry, options.get("bus"))
            if not at_start:
                check_hotplug(entry, bus)
            device = new_device(entry, self._new_id(options.get("id")), hotplugged=not at_start)
            set_by_type(device, self._settings, self._references)
            given = {name: value for name, value in options.items() if name not in NOT_PROPERTIES}
            set_properties(device, given, self._references, self._devices, is_text=is_text)
            if board_name is not None:
                self.objects.add_named(board_name, device)
            elif by_default:
                self.objects.add_unattached(device)
            else:
                self.objects.reserve_path(device)
            await self._plug_or_leave(device, bus)
            if not by_default:
                self.objects.add(device)
            return device

    async def _plug_or_leave(self, device: Device, bus: Bus | None) -> None:
        try:
            await self._plug(device, bus)
        except BaseException:
            self.objects.remove(device)
            raise

    def add_of_board(self, device: Device, bus: Bus | None) -> None:
        """Plug in a device that the board has by itself, and that has its path.

        Raises:
            QMPError: What was said of devices of its type is of no use.
        """
        set_by_type(device, self._settings, self._references)
        if bus is not None:
            place(bus, device)
        self._enter(device, bus)

    def _choose_bus(self, entry: DeviceType, name: str | None) -> Bus | None:
        bus_type = DEVICE_TYPES.bus_of(entry)
        if name is not None:
            return bus_named(self.root_bus, name, bus_type, entry.name)
        return bus_for(self.root_bus, bus_type, entry.name) if bus_type is not None else None

    def _new_id(self, device_id: str | None) -> str | None:
        if device_id is not None:
            check_id(device_id)
            if self.get(device_id) is not None:
                raise QMPError(f"Duplicate device ID '{device_id}'", code="exists", device=device_id)
        return device_id

    async def _plug(self, device: Device, bus: Bus | None) -> None:
        device.bus = bus
        if bus is not None:
            place(bus, device)
        has_drive = wants_drive(device)
        around = Neighbours(self._devices, self._cpus)
        realise(device, around)
        complete(device, around)
        self._buses.make(device)
        user = make_disk(device, around) if device.type.name == "usb-storage" else device.backend or device
        if has_drive:
            user.drive = await self._attach(user)
        complete_with_drive(user)
        self._take_chardev(device)
        if bus is not None and bus.type_name == "usb-bus":
            device.usb_port = self._usb_port(bus, device)
        self._enter(device, bus)

    async def _attach(self, user: Device) -> Drive:
        drives = self._references.drives
        async with drives.around.graph.lock:
            drive = await drives.attach(user, user.values["drive"] or None)
            try:
                await examine(user, drive)
            except BaseException:
                await drives.detach(drive, keeps_name=True)
                raise
        return drive

    def _usb_port(self, bus: Bus, device: Device) -> str:
        """Find the port of a device that is sure to come; the last one is given to a hub."""
        port = claim_port(bus, device)
        if port is None:
            hub = new_device(DEVICE_TYPES.of("usb-hub"))
            hub.usb_port = claim_port(bus, hub) or ""
            self.objects.add_unattached(hub)
            self._enter(hub, bus)
            port = claim_port(bus, device)
        assert port is not None
        return port

    def _take_chardev(self, device: Device) -> None:
        label = device.value("chardev")
        if label:
            chardev = self._references.chardevs.take(label)
            chardev.waits_for_guest = device.type.name == "virtserialport"

    def _enter(self, device: Device, bus: Bus | None) -> None:
        device.bus = bus
        for part in filter(None, (device, device.backend)):
            part.check_boot_index = partial(check_boot_index, others=self._devices)
            part.change_drive = self._references.drives.change
        if not device.buses:
            self._buses.make(device)
        if bus is not None:
            bus.devices.append(device)
        self._devices += [device, *reversed([*device.plugged_in()])]

    # Going

    async def remove(self, id_or_path: str) -> None:
        """Tell a device to go; the event says when it has gone.

        Raises:
            DeviceNotFound: There is none.
            QMPError: It cannot go while the machine is there, or it is going already.
        """
        device = self.find(id_or_path)
        if device.is_leaving:
            raise QMPError(f"Device {id_or_path} is already in the process of unplug")
        check_hotunplug(device.type, device.bus)
        await self.unplugging.begin(device)

    async def _part_with_all(self, device: Device) -> None:
        async with self._changes:
            if device not in self._devices:
                # The bus that it was on has gone before it.
                return
            for leaving in [*device.plugged_in(), device]:
                await self._part_with(leaving)
            if device.bus is not None:
                device.bus.devices.remove(device)

    async def _part_with(self, device: Device) -> None:
        drive, device.drive = device.drive, None
        if drive is not None:
            async with self._references.drives.around.graph.lock:
                await self._references.drives.detach(drive)
        chardev = self._references.chardevs.get(device.value("chardev") or "")
        if chardev is not None:
            chardev.is_taken = False
        self._devices.remove(device)
        self.objects.remove(device)
        named = {"device": device.device_id} if device.device_id is not None else {}
        self._events.emit("DEVICE_DELETED", {**named, "path": device.qom_path})
