"""Do to a drive's medium what a hand would do: open the tray, take the medium out, put another one in.

`called` is what the client called the drive.  Whoever changes media holds the graph's lock.
"""

from qmpserver.block.graph import check_not_busy
from qmpserver.block.node import Node
from qmpserver.errors import QMPError, error_text
from qmpserver.machine.media.drive import Drive


class HasNoTray(QMPError):
    """Refuse to open what cannot be opened; whoever only wants the medium need not mind."""


class TrayIsLocked(QMPError):
    """Refuse to open a tray that the guest holds; it has been asked to let go."""


def open_tray(drive: Drive, called: str, *, force: bool = False) -> None:
    """Open the tray.

    Raises:
        HasNoTray: There is none.
        TrayIsLocked: The guest holds it, and is not to be overruled.
        QMPError: The medium cannot be taken out at all.
    """
    _check_removable(drive, called)
    if not drive.has_tray:
        raise HasNoTray(f"Device '{called}' does not have a tray")
    if drive.is_tray_open:
        return
    if drive.is_locked and not force:
        raise TrayIsLocked(
            f"Device '{called}' is locked and force was not specified, wait for tray to open and try again"
        )
    drive.is_locked = False
    drive.move_tray(is_open=True)


def close_tray(drive: Drive, called: str) -> None:
    """Close the tray, if there is one and it is open.

    Raises:
        QMPError: The medium cannot be taken out at all.
    """
    _check_removable(drive, called)
    drive.move_tray(is_open=False)


async def remove_medium(drive: Drive, called: str) -> None:
    """Take the medium out, if there is one.

    Raises:
        QMPError: It cannot be taken out, the tray is closed, or a job works on it.
    """
    _check_removable(drive, called)
    if drive.has_tray and not drive.is_tray_open:
        raise QMPError(f"Tray of device '{called}' is not open")
    if drive.backend.root is None:
        return
    check_not_busy(drive.backend.node)
    await _remove(drive)


async def insert_medium(drive: Drive, node: Node) -> None:
    """Put a medium in.

    Raises:
        QMPError: It cannot be taken out again, the tray is closed, there is one, or its other users do not agree.
    """
    if not drive.is_removable:
        raise QMPError("Device is not removable")
    if drive.has_tray and not drive.is_tray_open:
        raise QMPError("Tray of the device is not open")
    if drive.backend.root is not None:
        raise QMPError("There already is a medium in the device")
    await drive.insert(node)


async def eject(drive: Drive, called: str, *, force: bool = False) -> None:
    """Open the tray and take the medium out.

    Raises:
        QMPError: One of both cannot be done.
    """
    _try_to_open(drive, called, force=force)
    await remove_medium(drive, called)


async def exchange(drive: Drive, called: str, node: Node, *, force: bool = False) -> None:
    """Open the tray, put another medium in, and close the tray.

    Raises:
        QMPError: Something of that cannot be done.
    """
    _try_to_open(drive, called, force=force)
    await remove_medium(drive, called)
    await insert_medium(drive, node)
    close_tray(drive, called)


def _try_to_open(drive: Drive, called: str, *, force: bool) -> None:
    try:
        open_tray(drive, called, force=force)
    except HasNoTray:
        return


def _check_removable(drive: Drive, called: str) -> None:
    if not drive.is_removable:
        raise QMPError(f"Device '{called}' is not removable")


async def _remove(drive: Drive) -> None:
    name = drive.backend.node.node_name
    try:
        await drive.remove()
    except OSError as error:
        raise QMPError(f"Could not write '{name}' back in full: {error_text(error)}") from error
