"""Say how a guest would be seen and heard."""

from typing import Any

from qmpserver.machine.machine import Machine

_MICE = {
    "usb-tablet": ("QEMU HID Tablet", True),
    "usb-mouse": ("QEMU HID Mouse", False),
    "virtio-mouse-pci": ("virtio-mouse", False),
    "virtio-tablet-pci": ("virtio-tablet", True),
}
"""What each device that points is called, and whether it tells where it is."""

_PS2 = "QEMU PS/2 Mouse"
_WITHOUT_PS2 = ("none", "microvm")


def query_vnc(machine: Machine) -> dict[str, Any]:
    """Say that there is no VNC server."""
    del machine
    return {"enabled": False}


def query_vnc_servers(machine: Machine) -> list[dict[str, Any]]:
    """List no servers."""
    del machine
    return []


def query_mice(machine: Machine) -> list[dict[str, Any]]:
    """List the mice, the newest first."""
    found = [] if machine.config.board.family in _WITHOUT_PS2 else [(_PS2, False)]
    found += [_MICE[device.type.name] for device in machine.devices if device.type.name in _MICE]
    # QEMU: its keyboard is an input device too, and the first of them.
    numbered = [(number + 2, name, absolute) for number, (name, absolute) in enumerate(found)]
    return [
        {"name": name, "index": number, "current": position == 0, "absolute": absolute}
        for position, (number, name, absolute) in enumerate(reversed(numbered))
    ]


def query_display_options(machine: Machine) -> dict[str, Any]:
    """Say where the screen would be shown."""
    return {"type": machine.config.display}


def query_audiodevs(machine: Machine) -> list[dict[str, Any]]:
    """List the audio backends."""
    return [dict(options) for options in machine.audiodevs.values()]
