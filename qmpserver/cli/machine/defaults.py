"""Add the devices that nobody asked for, and read those that somebody did."""

from typing import Any

from qmpserver.chardevs.store import make_chardev
from qmpserver.cli.machine.flat import Warn
from qmpserver.cli.machine.steps import driver_of
from qmpserver.cli.machine.wanted import Wanted
from qmpserver.errors import ParameterError
from qmpserver.machine.devices import help as device_help
from qmpserver.machine.devices.types.table import DEVICE_TYPES
from qmpserver.machine.machine import Machine
from qmpserver.options import structured
from qmpserver.options.flat_options import split_pairs
from qmpserver.options.getopt import Option

_ADAPTERS = {
    "std": "VGA",
    "cirrus": "cirrus-vga",
    "vmware": "vmware-svga",
    "qxl": "qxl-vga",
    "virtio": "virtio-vga",
}
"""The device behind each word of ``-vga``."""

_NETWORK = {"pc": "e1000", "q35": "e1000e"}
_USB_CONTROLLERS: dict[str, tuple[dict[str, str], ...]] = {
    "pc": ({"driver": "piix3-usb-uhci", "addr": "1.2"},),
    "q35": (
        {"driver": "ich9-usb-ehci1", "addr": "1d.7", "multifunction": "on"},
        {
            "driver": "ich9-usb-uhci1",
            "addr": "1d.0",
            "multifunction": "on",
            "masterbus": "usb-bus.0",
            "firstport": "0",
        },
        {
            "driver": "ich9-usb-uhci2",
            "addr": "1d.1",
            "multifunction": "on",
            "masterbus": "usb-bus.0",
            "firstport": "2",
        },
        {
            "driver": "ich9-usb-uhci3",
            "addr": "1d.2",
            "multifunction": "on",
            "masterbus": "usb-bus.0",
            "firstport": "4",
        },
    ),
}
"""What a board has when it is to have USB."""

_DRIVES: dict[str, tuple[dict[str, str], ...]] = {
    "pc": ({"index": "2", "media": "cdrom"}, {"if": "floppy", "index": "0"}),
    "q35": ({"index": "2", "media": "cdrom"},),
}
"""The drives without a medium that a board has unless told not to."""

_INSTEAD_OF = {
    "cdrom": "ide-cd ide-hd scsi-cd scsi-hd",
    "floppy": "floppy isa-fdc",
    "vga": (
        "VGA cirrus-vga vmware-svga qxl-vga virtio-vga virtio-gpu-pci virtio-gpu-device ati-vga bochs-display "
        "secondary-vga isa-vga isa-cirrus-vga ramfb"
    ),
}
"""Devices that stand in for those that nobody asked for."""


def device_options(option: Option, warn: Warn) -> tuple[dict[str, Any], bool]:
    """Read a ``-device``.

    Args:
        option: The option.
        warn: Told what is deprecated.

    Returns:
        What it says, and whether its values are texts.

    Raises:
        QMPError: It is malformed.
        HelpWanted: It asks for help.
    """
    if option.value.startswith("{"):
        return _with_driver(structured.json_object(option.value)), False
    pairs, wants_help = split_pairs(option.value, "driver", warn)
    given = dict(pairs)
    driver = given.get("driver", "")
    if wants_help or driver in ("help", "?"):
        is_type = driver not in ("", "help", "?")
        raise structured.HelpWanted(
            device_help.list_properties(driver) if is_type else device_help.list_types()
        )
    return _with_driver(given), True


def _with_driver(given: dict[str, Any]) -> dict[str, Any]:
    # QEMU: one that is no string is as good as none.
    if not isinstance(given.get("driver"), str):
        raise ParameterError("Parameter 'driver' is missing")
    return given


async def add_drives(machine: Machine, wanted: Wanted) -> None:
    """Make the drives without a medium that a board has unless told not to."""
    if not wanted.has_defaults:
        return
    for given in _DRIVES.get(machine.config.board.family, ()):
        if not _named(wanted, _INSTEAD_OF[given.get("if", "cdrom")]) and not _is_taken(machine, given):
            async with machine.graph.lock:
                await machine.drives.add_legacy(given)


def _named(wanted: Wanted, drivers: str) -> bool:
    """Say whether a ``-device`` asks for one of some devices."""
    return any(driver_of(option.value, "driver") in drivers.split() for option in wanted.of("device"))


def _is_taken(machine: Machine, given: dict[str, str]) -> bool:
    """Say whether another drive is where a default one would be."""
    interface, index = given.get("if", "ide"), int(given["index"])
    most = machine.drives.units.get(interface, index + 1)
    places = (drive.place for drive in machine.drives if drive.place is not None)
    return any(
        place.interface == interface and (place.bus, place.unit) == divmod(index, most) for place in places
    )


async def add_devices(machine: Machine, wanted: Wanted) -> None:
    """Add the other devices that a board has unless told not to."""
    family = machine.config.board.family
    if family not in _NETWORK:
        return
    has_own = wanted.has_defaults and not _named(wanted, _INSTEAD_OF["vga"])
    adapter = wanted.vga or ("std" if has_own else "none")
    if machine.config.board_options.get("usb") == "on":
        for options in _USB_CONTROLLERS[family]:
            await machine.devices.add(options, is_text=True, at_start=True, by_default=True)
    if adapter in _ADAPTERS:
        await _add_device(machine, _ADAPTERS[adapter])
    if wanted.has_defaults and not wanted.of("netdev", "net", "nic"):
        await _add_device(machine, _NETWORK[family])


async def _add_device(machine: Machine, driver: str) -> None:
    if driver in DEVICE_TYPES.table:
        await machine.devices.add({"driver": driver}, is_text=True, at_start=True, by_default=True)


async def add_ports(machine: Machine, wanted: Wanted) -> None:
    """Add the ports that a board has unless told not to, which lead nowhere."""
    if not wanted.has_defaults or machine.config.board.family not in _NETWORK:
        return
    for kind, options in (("serial", wanted.serials), ("parallel", wanted.of("parallel"))):
        driver = f"isa-{kind}"
        if not options and not _named(wanted, driver) and driver in DEVICE_TYPES.table:
            await machine.chardevs.add(make_chardev(f"{kind}0", {"type": "null", "data": {}}))
            await add_port(machine, driver, f"{kind}0")


async def add_port(machine: Machine, driver: str, chardev: str) -> None:
    """Add a port that leads to a chardev."""
    if driver in DEVICE_TYPES.table:
        options = {"driver": driver, "chardev": chardev}
        await machine.devices.add(options, is_text=True, at_start=True, by_default=True)
