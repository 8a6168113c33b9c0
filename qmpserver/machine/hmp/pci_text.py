"""Show what is on PCI buses: ``info pci``."""

from collections.abc import Iterator, Mapping
from typing import Any

from qmpserver.machine.hmp.command import Arguments, HumanCommand
from qmpserver.machine.hmp.session import HumanSession


async def _pci(session: HumanSession, _arguments: Arguments) -> str:
    buses = await session.call("query-pci")
    lines = [line for bus in buses for device in bus["devices"] for line in _device_lines(device)]
    return "".join(f"{line}\n" for line in lines)


def _device_lines(device: Mapping[str, Any]) -> Iterator[str]:
    yield f"  Bus {device['bus']:2}, device {device['slot']:3}, function {device['function']}:"
    kind, ids = device["class_info"], device["id"]
    name = kind.get("desc") or f"Class {kind['class']:04x}"
    yield f"    {name}: PCI device {ids['vendor']:04x}:{ids['device']:04x}"
    if "subsystem-vendor" in ids and "subsystem" in ids:
        yield f"      PCI subsystem {ids['subsystem-vendor']:04x}:{ids['subsystem']:04x}"
    if "irq" in device:
        yield f"      IRQ {device['irq']}, pin {chr(ord('A') + device['irq_pin'] - 1)}"
    if "pci_bridge" in device:
        yield from _bridge_lines(device["pci_bridge"]["bus"])
    yield f'      id "{device["qdev_id"]}"'
    for below in device.get("pci_bridge", {}).get("devices", ()):
        yield from _device_lines(below)


def _bridge_lines(bus: Mapping[str, Any]) -> Iterator[str]:
    yield f"      BUS {bus['number']}."
    yield f"      secondary bus {bus['secondary']}."
    yield f"      subordinate bus {bus['subordinate']}."
    io, memory, prefetchable = bus["io_range"], bus["memory_range"], bus["prefetchable_range"]
    yield f"      IO range [{io['base']:#06x}, {io['limit']:#06x}]"
    yield f"      memory range [{memory['base']:#010x}, {memory['limit']:#010x}]"
    yield f"      prefetchable memory range [{prefetchable['base']:#010x}, {prefetchable['limit']:#010x}]"


COMMANDS = (HumanCommand("pci", _pci, "show the devices on PCI buses"),)
