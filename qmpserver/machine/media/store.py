"""Keep all drives, and give devices theirs."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Never

from qmpserver import tasks
from qmpserver.block import host_medium
from qmpserver.block.backend import BlockBackend
from qmpserver.block.graph import NOTHING, Graph, check_not_busy, is_well_formed
from qmpserver.block.node import Node
from qmpserver.engine import Engine
from qmpserver.errors import DeviceNotFound, ParameterError, QMPError, error_text
from qmpserver.jobs.block_job import BlockJob
from qmpserver.log import get_logger
from qmpserver.machine.media import legacy_medium
from qmpserver.machine.media.drive import Drive, no_medium
from qmpserver.machine.media.drive_user import DriveUser
from qmpserver.machine.media.legacy_options import DriveOptions, drive_options
from qmpserver.machine.media.placement import USUAL_UNITS, Place, name_of, place_of
from qmpserver.machine.media.surroundings import DriveSurroundings

_log = get_logger("drives")


def _no_device(name: str) -> Never:
    raise DeviceNotFound(f"Device '{name}' not found", device=name)


class DriveStore:
    """All drives of a machine, the oldest first.

    Args:
        engine: What opens media that are only named.
        around: What drives find around them.

    Attributes:
        usual_interface: What a drive of ``-drive`` is plugged into when nothing is said; the board's.
        units: How many units a bus of each kind has; the board's.
        find_device: Returns the device of an id or path, with a drive or without.
    """

    def __init__(self, engine: Engine, around: DriveSurroundings) -> None:
        self.around = around
        self._engine = engine
        self._drives: list[Drive] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.find_device: Callable[[str], object] = _no_device
        self.usual_interface = "ide"
        self.units: Mapping[str, int] = USUAL_UNITS

    def __iter__(self) -> Iterator[Drive]:
        """Go through all drives, in the order they were made."""
        return iter(tuple(self._drives))

    # Names, which drives share with nodes

    def __contains__(self, name: object) -> bool:
        return any(drive.name == name for drive in self._drives if drive.name)

    def root_of(self, name: str) -> Node:
        """Return the node in the drive called `name`.

        Raises:
            QMPError: There is none in it.
        """
        drive = self.named(name)
        if drive is None or drive.backend.root is None:
            raise no_medium(name)
        return drive.backend.node

    def name_of(self, node: Node) -> str:
        """Return the name of the drive that a node is in, or empty."""
        return next((drive.name for drive in self.of_node(node) if drive.name), "")

    def users(self) -> list[BlockBackend]:
        """Return the handles of all drives."""
        return [drive.backend for drive in self._drives]

    def of_node(self, node: Node) -> list[Drive]:
        """Return the drives that a node is in."""
        return [
            drive for drive in self._drives if drive.backend.root is not None and drive.backend.node is node
        ]

    def named(self, name: str) -> Drive | None:
        """Return the drive called `name`, or None."""
        return next((drive for drive in self._drives if drive.name == name), None) if name else None

    def find(self, *, device: str | None = None, qdev_id: str | None = None) -> Drive:
        """Return the drive that a client means, by its own name or by its device.

        Raises:
            DeviceNotFound: There is no such drive or device.
            QMPError: Not exactly one of both is given, or the device has no drive.
        """
        if (device is None) == (qdev_id is None):
            raise QMPError("Need exactly one of 'device' and 'id'")
        if device is None:
            return self._by_device(qdev_id or "")
        return self.named(device) or _no_device(device)

    def _by_device(self, qdev_id: str) -> Drive:
        user = self.find_device(qdev_id)
        found = next((drive for drive in self._drives if drive.user is user), None)
        if found is None:
            raise QMPError("Device does not have a block device backend")
        return found

    # Drives come and go.  The graph is locked.

    def add(self, name: str = "") -> Drive:
        """Make a drive without a medium.

        Raises:
            QMPError: The name is malformed, or another drive or a node has it.
        """
        if name:
            self.check_new_name(name)
        drive = Drive(self.around, name)
        self._drives.append(drive)
        return drive

    def check_new_name(self, name: str) -> None:
        """Refuse a name that a drive cannot have.

        Raises:
            QMPError: With QEMU's text.
        """
        if not is_well_formed(name):
            raise QMPError("Invalid device name")
        if name in self:
            raise QMPError(f"Device with id '{name}' already exists", code="exists", device=name)
        if self._graph.get(name) is not None:
            raise QMPError(
                f"Device name '{name}' conflicts with an existing node name", code="exists", node=name
            )

    async def add_legacy(self, given: Mapping[str, str], *, active: bool = True) -> Drive:
        """Make a drive of what ``-drive`` or ``drive_add`` says, its medium included.  The graph is locked.

        The caller plugs it in: :attr:`Drive.place` says where, and :attr:`Drive.user` whether that was done.

        Args:
            given: The options by their dotted names; the values are strings.
            active: The medium may be used at once; else another process uses it still.

        Raises:
            QMPError: An option is no good, the place or the name is taken, or the medium cannot be opened; nothing
                has changed.
        """
        options = drive_options(given)
        taken = [drive.place for drive in self._drives if drive.place is not None]
        place = place_of(options, taken, self.usual_interface, self.units)
        name = self._legacy_name(options.drive_id, place)
        node = await legacy_medium.open_medium(self._engine, options, active=active)
        try:
            return await self._add_configured(name, place, options, node)
        except BaseException:
            await self._graph.discard(*([node] if node is not None else []))
            raise

    async def _add_configured(
        self, name: str, place: Place, options: DriveOptions, node: Node | None
    ) -> Drive:
        drive = self.add(name)
        try:
            drive.place = place
            drive.configure(options)
            if node is not None:
                await drive.insert(node)
        except BaseException:
            await self.remove(drive)
            raise
        return drive

    def _legacy_name(self, drive_id: str | None, place: Place) -> str:
        name = name_of(place, self.units) if drive_id is None else drive_id
        if not is_well_formed(name):
            raise ParameterError("Parameter 'id' expects an identifier")
        if name in self:
            raise QMPError(f"Duplicate ID '{name}' for drive")
        return name

    async def remove(self, drive: Drive) -> None:
        """Delete a drive that has no device, and close its medium if nobody else uses it.

        What could not be written back in full is closed all the same, and logged.
        """
        self._drives.remove(drive)
        drive.unlimit()
        try:
            await drive.remove()
        except OSError as error:
            _log.error(
                "image not closed cleanly", device=drive.name or drive.qdev_path, error=error_text(error)
            )

    async def attach(self, user: DriveUser, value: str | None) -> Drive:
        """Give a device its drive.

        Args:
            user: The device.
            value: The name of a drive or of a node, or None for a drive without a medium.

        Raises:
            QMPError: There is nothing of that name, another device has the drive, it is empty and cannot be filled,
                or another user of the medium does not agree; nothing has changed.
        """
        drive = None if value is None else self.named(value)
        if drive is not None and drive.user is not None:
            raise QMPError(f"Drive '{value}' is already in use {_why(drive)}")
        if drive is not None:
            if drive.backend.root is None and not user.is_removable:
                raise _empty()
            await drive.use(user)
            return drive
        return await self._attach_new(user, value)

    async def _attach_new(self, user: DriveUser, value: str | None) -> Drive:
        node = self._graph.get(value) if value is not None else None
        if value is not None and node is None:
            raise QMPError(f"Property '{user.drive_owner}.drive' can't find value '{value}'")
        if node is not None and not user.is_removable and not host_medium.is_inserted(node):
            raise _empty()
        drive = self.add()
        try:
            if node is not None:
                await drive.backend.insert(node, NOTHING)
            await drive.use(user)
        except BaseException:
            await self.remove(drive)
            raise
        return drive

    async def change(self, drive: Drive, node_name: str) -> None:
        """Let a drive's device, which stays, use another node.

        Raises:
            QMPError: There is no such node, or it cannot be used so; nothing has changed.
        """
        async with self._graph.lock:
            await drive.replace(self._graph.find_either(None, node_name))

    async def detach(self, drive: Drive, *, keeps_name: bool = False) -> None:
        """Take a drive from its device.

        Args:
            drive: The drive.
            keeps_name: One that a client can name stays, since the device has never come to be.
        """
        await drive.leave()
        if keeps_name and drive.name:
            return
        if drive.place is not None:
            self._call_off_jobs(drive)
        await self.remove(drive)

    def _call_off_jobs(self, drive: Drive) -> None:
        """Call the jobs off that work on a medium; it goes when they have ended."""
        if drive.backend.root is None or drive.medium is None:
            return
        users = [edge.parent for node in (drive.backend.node, drive.medium) for edge in node.parents]
        for job in dict.fromkeys(user for user in users if isinstance(user, BlockJob)):
            tasks.spawn(self._tasks, job.cancel(force=False))

    async def delete(self, drive: Drive) -> None:
        """Pull a drive out from under its device, which then finds no medium; or delete it, if it has none.

        Raises:
            NodeInUse: A job works on its medium.
        """
        if drive.backend.root is not None:
            check_not_busy(drive.backend.node)
        drive.unlimit()
        if drive.user is None:
            await self.remove(drive)
            return
        drive.disown()
        await drive.remove()

    async def close(self) -> None:
        """Part with all devices and media, at the machine's end."""
        await asyncio.gather(*self._tasks)
        async with self._graph.lock:
            for drive in tuple(self._drives):
                drive.requests.cancel_held()
                drive.user = None
                await self.remove(drive)

    def reset(self) -> None:
        """Let held requests fail, and close all trays: the machine is reset."""
        for drive in self._drives:
            drive.reset()

    def resume(self) -> None:
        """Make the requests again that errors held: the machine runs."""
        for drive in self._drives:
            drive.resume()

    @property
    def _graph(self) -> Graph:
        return self.around.graph


def _empty() -> QMPError:
    return QMPError("Device needs media, but drive is empty")


def _why(drive: Drive) -> str:
    """Say why a drive that has a device cannot have another one."""
    if drive.place is not None and drive.place.interface != "none":
        return (
            "because it has been automatically connected to another device "
            "(did you need 'if=none' in the drive options?)"
        )
    return "by another device"
