"""Run a whole server: the schema, one daemon, the commands bound to it, and its monitors.

This is the API to embed:

    async with Server() as server:
        await server.execute("blockdev-add", {"driver": "null-co", "node-name": "n"})
        await server.listen("/run/test/qmp.sock")

Everything runs on the event loop the server was started on.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from qmpserver import tasks
from qmpserver.binding import bind_commands
from qmpserver.block.backend import BlockBackend
from qmpserver.block.opener import Gate
from qmpserver.chardevs.chardev import Chardev
from qmpserver.chardevs.monitoring import ChardevMonitor
from qmpserver.chardevs.streams import StdioChardev
from qmpserver.clock import Clock, SystemClock
from qmpserver.commands.control import version_info
from qmpserver.daemon import Daemon
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.errors import CommandNotFound, QMPError
from qmpserver.monitor.doors import Door, Endpoint, open_door
from qmpserver.monitor.fds import FdSets, FdStore
from qmpserver.monitor.monitor import Monitor
from qmpserver.qmp.features import Features
from qmpserver.qmp.ratelimit import RateLimits
from qmpserver.schema.loader import load
from qmpserver.schema.model import Schema
from qmpserver.sockets import Peer, UnixAddress

if TYPE_CHECKING:  # what a start does not need is imported when it is asked for
    from qmpserver.machine.hmp.monitor import HumanMonitor
    from qmpserver.qom.user_object import UserObject


@dataclass(slots=True)
class _Embedder:
    """The program itself, as the client whose commands :meth:`Server.execute` runs."""

    client_id: int
    peer: Peer
    fds: FdStore
    fd_sets: FdSets
    features: Features


class Server:
    """One block layer, and the monitors it is driven by.

    Args:
        clock: What everything tells the time by; the machine's own when none is given.
        gate: Asked before a file that an image names (a backing file) is opened; raises QMPError to
            refuse.  A client's own file names are not asked about.
        daemon: What to run, made by the caller with a clock and gate of its own, as a machine is.

    Attributes:
        daemon: The graph, the jobs, the objects and the events.
    """

    def __init__(
        self, *, clock: Clock | None = None, gate: Gate | None = None, daemon: Daemon | None = None
    ) -> None:
        self.daemon = daemon or Daemon(load(), clock or SystemClock(), gate)
        self.commands = self.daemon.commands = bind_commands(self.daemon)
        self._quit = asyncio.Event()
        self._cause = ""
        self.daemon.on_shutdown = self.request_shutdown
        self._monitor = Monitor(
            self.commands,
            self.daemon.events,
            self.daemon.clock,
            _rate_limits(self.daemon.schema),
            version_info(),
            fd_sets=self.daemon.fd_sets,
        )
        self._doors: list[Door] = []
        self._chardev_monitors: list[ChardevMonitor] = []
        self._human_monitor: HumanMonitor | None = None
        self.daemon.objects.add_maker("monitor-qmp", self._make_monitor)
        self.daemon.objects.add_maker("monitor-hmp", self._make_human_monitor)
        own = Peer(uid=os.getuid(), gid=os.getgid(), pid=os.getpid())
        self._embedder = _Embedder(0, own, FdStore(), self.daemon.fd_sets, Features())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    # Monitors

    async def listen(self, path: str) -> None:
        """Let clients in through a UNIX socket, which nobody but this user can open.

        Raises:
            QMPError: The socket cannot be made.
        """
        await self.add_monitor(Endpoint(UnixAddress(path)))

    async def add_monitor(self, endpoint: Endpoint) -> Door:
        """Let clients in; whoever must wait for one calls the door's `first_client`.

        Raises:
            QMPError: The address cannot be had.
        """
        door = await open_door(endpoint, self._monitor, self.daemon.clock)
        self._doors.append(door)
        return door

    async def add_chardev_monitor(
        self, chardev: Chardev, *, pretty: bool = False, on_client_end: Callable[[], object] = lambda: None
    ) -> ChardevMonitor:
        """Let clients in through a chardev; `close` of what is returned parts with them.

        Args:
            chardev: Where they are; nobody else uses it.
            pretty: Their messages are indented.
            on_client_end: Called each time one has gone.

        Raises:
            QMPError: It cannot be done.
        """
        added = ChardevMonitor(
            chardev, self._monitor, self.daemon.clock, pretty=pretty, on_client_end=on_client_end
        )
        await added.open()
        self._chardev_monitors.append(added)
        return added

    async def add_human_monitor(self, chardev: Chardev) -> ChardevMonitor:
        """Let people in through a chardev, to a machine's monitor for them.

        Args:
            chardev: Where they are; nobody else uses it.

        Raises:
            QMPError: It cannot be done, or there is no machine.
        """
        added = self._human_monitor_on(chardev)
        await added.open()
        self._chardev_monitors.append(added)
        return added

    def _human_monitor_on(self, chardev: Chardev) -> ChardevMonitor:
        """Return a monitor for people, yet to be opened."""
        from qmpserver.machine.hmp.monitor import HumanMonitor  # noqa: PLC0415 - few servers have one
        from qmpserver.machine.machine import Machine  # noqa: PLC0415 - likewise

        if not isinstance(self.daemon, Machine):
            raise QMPError("Only QMP is supported")
        if self._human_monitor is None:
            self._human_monitor = HumanMonitor(self.daemon, self.commands)
        if isinstance(chardev, StdioChardev):
            self._human_monitor.use_terminal(0)
        return ChardevMonitor(chardev, self._human_monitor, self.daemon.clock)

    def _make_human_monitor(self, object_id: str, qom_type: str, properties: dict[str, Any]) -> "UserObject":
        """Make a ``monitor-hmp`` object."""
        from qmpserver.machine.hmp import monitor_object  # noqa: PLC0415 - few are made

        monitor_object.check_properties(properties)
        added = self._human_monitor_on(self.daemon.chardevs.take(properties["chardev"]))
        self._chardev_monitors.append(added)
        self._run_beside(added.open())
        return monitor_object.HumanMonitorObject(object_id, qom_type, properties)

    def _make_monitor(self, object_id: str, qom_type: str, properties: dict[str, Any]) -> "UserObject":
        """Make a ``monitor-qmp`` object."""
        from qmpserver.qom.monitor import MonitorObject  # noqa: PLC0415 - few are made

        chardev = self.daemon.chardevs.take(properties["chardev"])

        def client_ended() -> None:
            if properties.get("close-action") == "delete" and self.daemon.objects.get(object_id) is made:
                self.daemon.objects.remove(object_id)

        added = ChardevMonitor(
            chardev,
            self._monitor,
            self.daemon.clock,
            pretty=properties.get("pretty", False),
            on_client_end=client_ended,
        )
        made = MonitorObject(
            object_id, qom_type, properties, lambda: self._run_beside(self._end_monitor(added, properties))
        )
        self._chardev_monitors.append(added)
        self._run_beside(added.open())
        return made

    async def _end_monitor(self, added: ChardevMonitor, properties: dict[str, Any]) -> None:
        self._chardev_monitors.remove(added)
        await added.close()
        if properties.get("close-action") == "delete":
            self.daemon.chardevs.remove(added.chardev.label)

    def _run_beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what seldom waits; where it does, commands do not wait for it."""
        try:
            tasks.step(work)
        except tasks.Pending as pending:
            tasks.spawn(self._monitor.running, pending.rest)

    # Commands

    async def execute(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        """Carry out a QMP command as a client would, checks included.

        When the caller is cancelled, a command under way ends all the same, as that of a client does
        which has gone.

        Returns:
            What the command returns.

        Raises:
            QMPError: What a client would be answered.
        """
        bound = self.commands.get(command)
        if bound is None:
            raise CommandNotFound(f"The command {command} has not been found")
        result = bound.run(self._embedder, bound.check(arguments))
        return await self._await_to_end(result) if asyncio.iscoroutine(result) else result

    async def _await_to_end(self, command: Coroutine[Any, Any, Any]) -> Any:
        task = tasks.spawn(self._monitor.running, command)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Nobody is left to hear how it ended.
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            raise

    async def blockdev_add(self, options: dict[str, Any]) -> None:
        """Open a node from checked ``BlockdevOptions``."""
        await self.daemon.blockdev_add(options)

    async def object_add(self, options: dict[str, Any]) -> None:
        """Create an object from checked ``ObjectOptions``."""
        self.daemon.objects.add(options)

    # Images

    async def create_image(
        self, filename: str, image_format: str, size: int, *, backing_file: str | None = None, **options: Any
    ) -> None:
        """Make a new image in a new or emptied file.

        Args:
            filename: The file.
            image_format: A format that images can be made of, as ``qcow2``.
            size: The disk's size in bytes.
            backing_file: What the new image lies over; it is taken to be of the same format.
            options: Further ``BlockdevCreateOptions`` of the format, `_` for `-`.

        Raises:
            QMPError: The format or an option cannot be had.
            OSError: The file cannot be written.
        """
        wanted = {name.replace("_", "-"): value for name, value in options.items()}
        if backing_file is not None:
            wanted |= {"backing-file": backing_file, "backing-fmt": image_format}
        await self.daemon.create_image(filename, image_format, {"size": size, **wanted})

    @contextlib.asynccontextmanager
    async def backend(self, node_name: str, *, writable: bool = False) -> AsyncIterator[BlockBackend]:
        """Use a node's data directly, as a device would.

        Raises:
            QMPError: There is no such node, or its other users do not agree.
        """
        used = Permission.CONSISTENT_READ | (Permission.WRITE if writable else Permission(0))
        backend = BlockBackend(self.daemon.graph, node_name)
        async with self.daemon.graph.lock:
            await backend.insert(self.daemon.graph.find(node_name), PermissionSet(used, PERM_ALL))
        try:
            yield backend
        finally:
            async with self.daemon.graph.lock:
                await backend.remove()

    # The end

    def request_shutdown(self, cause: str) -> None:
        """Have :meth:`run_until_quit` return.

        Args:
            cause: A ``ShutdownCause``, as `host-signal` or `host-qmp-quit`; the first one counts.
        """
        self._cause = self._cause or cause
        self._quit.set()

    async def run_until_quit(self) -> str:
        """Wait until a client says `quit`, or :meth:`request_shutdown` is called; return the cause."""
        await self._quit.wait()
        return self._cause

    async def close(self) -> None:
        """Stop listening, cancel all jobs, write back and close all images, and take leave of clients.

        Commands under way end first, so that none of them opens what would stay open.
        """
        for door in self._doors:
            await door.close()
        self._doors.clear()
        for added in tuple(self._chardev_monitors):
            await added.stop()
        await self._monitor.stop()
        if self._human_monitor is not None:
            await self._human_monitor.close()
        await self.daemon.close()
        await self._monitor.close()
        self.daemon.chardevs.close()
        self.daemon.fd_sets.close()


def _rate_limits(schema: Schema) -> RateLimits:
    return {
        event.name: (event.rate_limit_ms, event.rate_limit_key)
        for event in schema.events.values()
        if event.rate_limit_ms is not None
    }
