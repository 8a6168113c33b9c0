"""Open trays, and take media out and in."""

from qmpserver.errors import QMPError
from qmpserver.machine.machine import Machine
from qmpserver.machine.media import image_file, tray
from qmpserver.machine.media.drive import Drive
from qmpserver.machine.media.image_file import NextMedium


async def eject(
    machine: Machine,
    *,
    device: str | None = None,
    id: str | None = None,  # noqa: A002 - the wire's name
    force: bool = False,
) -> None:
    """Open a tray and take out what lies in it."""
    async with machine.graph.lock:
        drive = machine.drives.find(device=device, qdev_id=id)
        await tray.eject(drive, device or id or "", force=force)


def blockdev_open_tray(
    machine: Machine,
    *,
    device: str | None = None,
    id: str | None = None,  # noqa: A002 - the wire's name
    force: bool = False,
) -> None:
    """Open a tray, or ask the guest to let it be opened."""
    drive = machine.drives.find(device=device, qdev_id=id)
    try:
        tray.open_tray(drive, device or id or "", force=force)
    except (tray.HasNoTray, tray.TrayIsLocked):
        return


def blockdev_close_tray(
    machine: Machine,
    *,
    device: str | None = None,
    id: str | None = None,  # noqa: A002 - the wire's name
) -> None:
    """Close a tray."""
    tray.close_tray(machine.drives.find(device=device, qdev_id=id), device or id or "")


async def blockdev_remove_medium(machine: Machine, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Take a medium out."""
    async with machine.graph.lock:
        await tray.remove_medium(machine.drives.find(qdev_id=id), id)


async def blockdev_insert_medium(machine: Machine, *, id: str, node_name: str) -> None:  # noqa: A002 - likewise
    """Put a node into a device."""
    async with machine.graph.lock:
        drive = machine.drives.find(qdev_id=id)
        node = machine.graph.get(node_name)
        if node is None:
            raise QMPError(f"Node '{node_name}' not found")
        if machine.drives.of_node(node):
            raise QMPError(f"Node '{node_name}' is already in use")
        await tray.insert_medium(drive, node)


async def blockdev_change_medium(
    machine: Machine,
    *,
    filename: str,
    device: str | None = None,
    id: str | None = None,  # noqa: A002 - the wire's name
    format: str | None = None,  # noqa: A002 - likewise
    force: bool = False,
    read_only_mode: str = "retain",
) -> None:
    """Open an image and put it into a device."""
    async with machine.graph.lock:
        drive = machine.drives.find(device=device, qdev_id=id)
        wanted = NextMedium(filename, format, read_only_mode)
        await _change(machine, drive, device or id or "", wanted, force=force)


async def change(machine: Machine, *, device: str, target: str, arg: str | None = None) -> None:
    """Open an image and put it into a device, by the command's old name."""
    async with machine.graph.lock:
        drive = machine.drives.find(device=device)
        await _change(machine, drive, device, NextMedium(target, arg), force=False)


async def _change(machine: Machine, drive: Drive, called: str, wanted: NextMedium, *, force: bool) -> None:
    node = await image_file.open_next(machine, drive, wanted)
    try:
        await tray.exchange(drive, called, node, force=force)
    finally:
        await machine.graph.collect(node)
