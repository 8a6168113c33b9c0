"""Make the machine that the command line asks for, in QEMU's order whatever the order of the options.

Descriptors and objects come first, then ways in, nodes, drives and network backends, then monitors, and devices
last.  Clients are let in when all of it is there.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import NamedTuple

from qmpserver.chardevs.chardev import Chardev
from qmpserver.chardevs.options import Chardev as ChardevOptions
from qmpserver.chardevs.options import parse_chardev
from qmpserver.cli.machine import defaults, steps
from qmpserver.cli.machine.flat import Warn, read_flat
from qmpserver.cli.machine.wanted import Wanted
from qmpserver.cli.probing import warn_of_probing
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving.legacy_chardev import parse_legacy
from qmpserver.cli.serving.option_error import OptionError, told_of
from qmpserver.cli.serving.ways_in import open_chardev
from qmpserver.clock import Clock, SteppedClock, SystemClock
from qmpserver.errors import QMPError
from qmpserver.machine.config import MachineConfig
from qmpserver.machine.devices.board_drives import plug_in_board_drives, plug_in_virtio_disks
from qmpserver.machine.devices.flash import plug_in_flash
from qmpserver.machine.machine import Machine
from qmpserver.machine.memory_backend import MEMORY_TYPES, MemoryBackend
from qmpserver.machine.migration.address import parse
from qmpserver.machine.migration.channel import inherited_fd
from qmpserver.machine.run_states import ShutdownCause
from qmpserver.options import structured
from qmpserver.options.flat_options import check_id
from qmpserver.options.getopt import STRAY, Option
from qmpserver.schema.loader import load
from qmpserver.server import Server

_LATE_OBJECTS = (*MEMORY_TYPES, "monitor-hmp", "monitor-qmp")
"""Types of objects that may need what other options make."""

_LEGACY_DISKS = {
    "hda": {"media": "disk", "index": "0"},
    "hdb": {"media": "disk", "index": "1"},
    "hdc": {"media": "disk", "index": "2"},
    "hdd": {"media": "disk", "index": "3"},
    "cdrom": {"media": "cdrom", "index": "2"},
    "fda": {"if": "floppy", "index": "0"},
    "fdb": {"if": "floppy", "index": "1"},
    "mtdblock": {"if": "mtd"},
    "pflash": {"if": "pflash"},
    "sd": {"if": "sd"},
    STRAY: {"media": "disk", "index": "0"},
}
"""What each short way to name an image says besides."""

_MOST_SERIAL_PORTS = 4
_MOST_PARALLEL_PORTS = 3

_USB_DEVICES = {"tablet": "usb-tablet", "mouse": "usb-mouse", "keyboard": "usb-kbd", "braille": "usb-braille"}


class _MonitorKind(NamedTuple):
    """Whom a monitor is for: programs, or people."""

    is_control: bool
    pretty: bool


def _clock(wanted: Wanted, config: MachineConfig) -> Clock:
    """Return the clock that everything follows: one that a test turns, if there is a test.

    QEMU: without one its clock stands still.
    """
    is_turned = config.accelerator == "qtest" and wanted.qtest is not None
    return SteppedClock() if is_turned else SystemClock()


class MachineStarter:
    """Makes a machine.

    Args:
        wanted: What the command line asks for.
        config: What the machine is to be.
        reporter: Where warnings go.

    Attributes:
        server: The server of the machine.
    """

    def __init__(self, wanted: Wanted, config: MachineConfig, reporter: Reporter) -> None:
        # What `-global` says of a device of the board may be of no use.
        with told_of():
            self._machine = Machine(load(with_machine=True), _clock(wanted, config), config)
        self.server = Server(daemon=self._machine)
        self._wanted = wanted
        self._reporter = reporter
        self._monitors: list[tuple[Chardev, _MonitorKind, str]] = []
        self._short_monitors = self._serials = self._parallels = 0

    async def start(self) -> None:
        """Make everything, let clients in, and run unless told to wait.

        Raises:
            OptionError: Something could not be made.
            HelpWanted: An option asks for help.
        """
        self._warn_of_settings()
        await self._each(("add-fd",), self._add_fd)
        early, late = self._split_objects()
        await self._of(early, self._object)
        await self._each(("chardev",), self._chardev)
        await self._each(("audiodev",), self._audiodev)
        await self._each(("blockdev",), self._blockdev)
        await self._each(("drive", *_LEGACY_DISKS), self._drive)
        with told_of():
            await defaults.add_drives(self._machine, self._wanted)
        await self._of(late, self._object)
        await self._each(("netdev", "net", "nic"), self._netdev)
        await self._each(("numa",), self._numa)
        self._check_memory()
        await self._each(("mon", "monitor", "qmp", "qmp-pretty"), self._monitor)
        await self._of(self._wanted.serials, self._serial)
        await self._each(("parallel",), self._parallel)
        with told_of():
            await defaults.add_ports(self._machine, self._wanted)
            await self._make_devices()
        if self._wanted.qtest is not None:
            from qmpserver.cli.machine.qtest import open_qtest  # noqa: PLC0415 - only tests want it

            log = self._wanted.recorded.get("qtest-log", [None])[-1]
            await open_qtest(self._machine, self._wanted.qtest, log, self._reporter)
        await self._let_clients_in()
        self._machine.handover.on_given_up = self._give_up
        if self._wanted.loadvm is not None:
            from qmpserver.machine import snapshots  # noqa: PLC0415 - few machines begin so

            with told_of():
                await snapshots.load(self._machine, self._wanted.loadvm)
        self._begin()

    async def _make_devices(self) -> None:
        """Add what the board carries, then the devices of users, then the disks that come last."""
        machine = self._machine
        await defaults.add_devices(machine, self._wanted)
        if machine.config.board.has_flash:
            await plug_in_flash(machine.devices, machine.drives, machine.config.board_options)
        await plug_in_board_drives(machine.devices, machine.drives)
        await self._each(("device", "usbdevice"), self._device)
        await plug_in_virtio_disks(machine.devices, machine.drives)
        used = {device.values.get("netdev") for device in machine.devices}
        for netdev_id in sorted(machine.netdevs - used):
            self._reporter.warning(f"netdev {netdev_id} has no peer")

    def _warn_of_settings(self) -> None:
        for type_name, key, _value in self._machine.config.settings:
            if type_name not in self._machine.object_types:
                self._reporter.warning(f"global {type_name}.{key} has invalid class name")

    # In order

    async def _each(self, names: Iterable[str], action: Callable[[Option], Awaitable[None]]) -> None:
        await self._of(self._wanted.of(*names), action)

    async def _of(self, options: Iterable[Option], action: Callable[[Option], Awaitable[None]]) -> None:
        for option in options:
            with told_of(option.written):
                await action(option)

    def _split_objects(self) -> tuple[list[Option], list[Option]]:
        early: list[Option] = []
        late: list[Option] = []
        for option in self._wanted.of("object"):
            is_late = steps.driver_of(option.value, "qom-type") in _LATE_OBJECTS
            (late if is_late else early).append(option)
        return early, late

    def _warn(self, option: Option) -> Warn:
        return lambda what, instead: self._reporter.warning(what, option.written, instead)

    # What is made

    async def _add_fd(self, option: Option) -> None:
        steps.add_fd(self._machine, option, self._warn(option))

    async def _object(self, option: Option) -> None:
        options = steps.object_options(self._machine.schema, option, self._machine.objects.items())
        # QEMU: what is wrong with an object once it is made is told without the option.
        with told_of():
            await self.server.object_add(options)

    async def _chardev(self, option: Option) -> None:
        parsed = parse_chardev(option.value, self._warn(option))
        self._check_new(parsed)
        await self._open(parsed, option)

    def _check_new(self, chardev: ChardevOptions) -> None:
        if self._machine.chardevs.get(chardev.chardev_id) is not None:
            raise QMPError(f"Duplicate ID '{chardev.chardev_id}' for chardev")

    async def _audiodev(self, option: Option) -> None:
        argument = structured.parse(option.value, "driver", lambda _asked: "Available audio drivers:\nnone")
        options = argument.as_type(self._machine.schema.type("Audiodev"))
        with told_of():
            self._machine.add_audiodev(options)

    async def _blockdev(self, option: Option) -> None:
        argument = structured.parse(option.value, "driver")
        await self.server.blockdev_add(argument.as_type(self._machine.schema.type("BlockdevOptions")))

    async def _drive(self, option: Option) -> None:
        if option.name == "drive":
            given = steps.flat_pairs(option, None, self._warn(option))
        else:
            given = {**_LEGACY_DISKS[option.name], "file": option.value}
        if self._wanted.is_snapshot:
            given.setdefault("snapshot", "on")
        async with self._machine.graph.lock:
            drive = await self._machine.drives.add_legacy(given)
        if drive.medium is not None and drive.medium.head_guard is not None and not drive.medium.read_only:
            warn_of_probing(drive.medium)

    async def _netdev(self, option: Option) -> None:
        steps.add_netdev(self._machine, option)

    async def _numa(self, option: Option) -> None:
        steps.check_numa(option)

    def _check_memory(self) -> None:
        memory = self._machine.config.memory
        own = self._machine.config.board.default_ram_id
        if memory.backend is None:
            if self._machine.objects.get(own) is not None:
                raise OptionError(
                    f"object's id '{own}' is reserved for the default RAM backend, it can't be used for any other "
                    "purposes\nChange the object's 'id' to something else or disable automatic creation of the default "
                    f"RAM backend by setting 'memory-backend={own}' with '-machine'."
                )
            return
        backend = self._machine.objects.get(memory.backend)
        if not isinstance(backend, MemoryBackend):
            raise OptionError(f"Memory backend '{memory.backend}' not found")
        if memory.is_given and backend.get_property("size") != memory.size:
            raise OptionError("Machine memory size does not match the size of the memory backend")

    async def _device(self, option: Option) -> None:
        if option.name == "usbdevice":
            driver = _USB_DEVICES.get(option.value)
            if driver is None:
                raise QMPError(f"could not add USB device '{option.value}'")
            await self._machine.devices.add({"driver": driver}, is_text=True, at_start=True)
            return
        options, is_text = defaults.device_options(option, self._warn(option))
        if is_text and "id" in options:
            check_id(options["id"])
            if self._machine.devices.get(options["id"]) is not None:
                raise QMPError(f"Duplicate ID '{options['id']}' for device")
        await self._machine.devices.add(options, is_text=is_text, at_start=True)

    # Ways in

    async def _monitor(self, option: Option) -> None:
        pretty, is_control = option.name == "qmp-pretty", option.name != "monitor"
        if option.name == "mon":
            values = read_flat("mon", option.value, "chardev", self._warn(option)).values
            pretty, is_control = bool(values.get("pretty", False)), values.get("mode") == "control"
            if values.get("mode", "readline") not in ("control", "readline"):
                raise QMPError(f"Parameter 'mode' does not accept value '{values['mode']}'")
            label = str(values.get("chardev", ""))
        elif option.value == "none" and option.name == "monitor":
            return
        else:
            label = await self._monitor_chardev(option)
        if self._machine.chardevs.get(label) is None:
            raise QMPError(f'chardev "{label}" not found')
        if pretty and not is_control:
            raise QMPError("'pretty' is not compatible with HMP monitors")
        kind = _MonitorKind(is_control, pretty)
        self._monitors.append((self._machine.chardevs.take(label), kind, option.written))

    async def _monitor_chardev(self, option: Option) -> str:
        if option.value.startswith("chardev:"):
            return option.value.removeprefix("chardev:")
        with self._complaining(option, f"parse error: {option.value}"):
            parsed = self._short_form(f"compat_monitor{self._short_monitors}", option)
        self._short_monitors += 1
        await self._open(parsed, option)
        return parsed.chardev_id

    @contextlib.contextmanager
    def _complaining(self, option: Option, complaint: str) -> Iterator[None]:
        """Tell why a chardev cannot be had, and then, as QEMU does, what that means for the option."""
        try:
            yield
        except QMPError as error:
            if error.description != complaint:
                self._reporter.error(error.description, option.written)
            raise QMPError(complaint) from error

    def _short_form(self, label: str, option: Option) -> ChardevOptions:
        parsed = parse_legacy(label, option.value)
        self._check_new(parsed)
        return parsed

    async def _open(self, chardev: ChardevOptions, option: Option) -> None:
        await open_chardev(self._machine.chardevs, chardev, self._reporter, option.written)

    async def _serial(self, option: Option) -> None:
        number, self._serials = self._serials, self._serials + 1
        if option.value == "none":
            return
        label = await self._port_chardev("serial", number, option)
        if number < _MOST_SERIAL_PORTS:
            await defaults.add_port(self._machine, "isa-serial", label)

    async def _parallel(self, option: Option) -> None:
        if option.value == "none":
            return
        number, self._parallels = self._parallels, self._parallels + 1
        if number == _MOST_PARALLEL_PORTS:
            raise QMPError("too many parallel ports")
        label = await self._port_chardev("parallel", number, option)
        await defaults.add_port(self._machine, "isa-parallel", label)

    async def _port_chardev(self, kind: str, number: int, option: Option) -> str:
        """Return the label of what a port leads to, which is opened unless it is there."""
        with self._complaining(
            option, f"could not connect {kind} device to character backend '{option.value}'"
        ):
            if not option.value.startswith("chardev:"):
                parsed = self._short_form(f"{kind}{number}", option)
                await self._open(parsed, option)
                return parsed.chardev_id
        label = option.value.removeprefix("chardev:")
        if self._machine.chardevs.get(label) is None:
            raise QMPError(f"could not connect {kind} device to character backend '{option.value}'")
        return label

    async def _let_clients_in(self) -> None:
        for chardev, kind, written in self._monitors:
            with told_of(written):
                if kind.is_control:
                    await self.server.add_chardev_monitor(chardev, pretty=kind.pretty)
                else:
                    await self.server.add_human_monitor(chardev)

    def _begin(self) -> None:
        config = self._machine.config
        if config.incoming is None:
            if not config.starts_paused:
                self._machine.state.start()
        elif config.incoming != "defer":
            self._receive(config.incoming)

    def _give_up(self, message: str) -> None:
        """End the program, because nothing can come of the machine."""
        self._reporter.error(message)
        self._machine.on_shutdown(ShutdownCause.HOST_ERROR.value)

    def _receive(self, uri: str) -> None:
        with told_of(f"-incoming {uri}"):
            self._machine.migration.receive(parse(uri), inherited_fd)
