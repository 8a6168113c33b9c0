"""Hold one drive: what a device reads and writes, with or without a medium in it."""

import errno

from qmpserver.block import chain, host_medium
from qmpserver.block.backend import BlockBackend
from qmpserver.block.graph import NOTHING
from qmpserver.block.node import Node
from qmpserver.driver_api.permissions import Permission, PermissionSet
from qmpserver.errors import QMPError, error_text
from qmpserver.jobs.error_policy import ErrorAction
from qmpserver.machine.media.drive_user import DriveUser
from qmpserver.machine.media.error_policy import REPORT_ALL, ErrorPolicy
from qmpserver.machine.media.legacy_options import DriveOptions
from qmpserver.machine.media.openness import Openness
from qmpserver.machine.media.placement import Place
from qmpserver.machine.media.requests import DriveRequests
from qmpserver.machine.media.statistics import DriveStatistics
from qmpserver.machine.media.surroundings import DriveSurroundings
from qmpserver.throttling.group import ThrottleMember
from qmpserver.throttling.limits import ThrottleLimits

UNUSED = PermissionSet(Permission.CONSISTENT_READ, NOTHING.shared)
"""What a drive holds that is there before its device."""


class Drive:
    """What a device reads and writes; QEMU's BlockBackend.

    Args:
        around: What it finds around it.
        name: What clients call it; empty when it is known by its device only.

    Attributes:
        name: As given, or empty once it was deleted from under its device.
        user: The device, or None.
        backend: The handle on its medium.
        requests: The way of the device's requests.
        policy: What becomes of errors.
        statistics: What is counted.
        write_cache: What is written may stay in caches until a flush.
        copy_on_read: What is read from below the medium is stored in it.
        is_locked: The guest holds the medium in.
        is_tray_open: The tray is open, where there is one.
        io_status: `ok`, `failed` or `nospace`, as of the last error that stopped the machine.
        throttle: Its place in a throttle group, or None when it has no limits.
        throttle_group: The group's name.
        openness: How the next medium is opened that is only named.
        place: Where it is to be plugged in that ``-drive`` made, or None.
    """

    def __init__(self, around: DriveSurroundings, name: str = "") -> None:
        self.around = around
        self.name = name
        self.user: DriveUser | None = None
        self.backend = BlockBackend(around.graph, name, allows_inactive=True)
        self.requests = DriveRequests(self, around.clock)
        self.policy = ErrorPolicy()
        self.statistics = DriveStatistics()
        self.write_cache = True
        self.copy_on_read = False
        self.is_locked = False
        self.is_tray_open = False
        self.io_status = "ok"
        self.throttle: ThrottleMember | None = None
        self.throttle_group = ""
        self.openness = Openness()
        self.place: Place | None = None

    # What it is

    @property
    def medium(self) -> Node | None:
        """The node in it, or None; what a job has put over that unasked is passed over."""
        return chain.skip_implicit(self.backend.node) if self.backend.root is not None else None

    @property
    def is_removable(self) -> bool:
        """Whether its medium can be taken out; so it can while no device uses it."""
        return self.user is None or self.user.is_removable

    @property
    def has_tray(self) -> bool:
        """Whether its medium lies in a tray that opens."""
        return self.user is not None and self.user.has_tray

    @property
    def is_available(self) -> bool:
        """Whether there is a medium, and no open tray between it and the device."""
        if self.backend.root is None or (self.has_tray and self.is_tray_open):
            return False
        return host_medium.is_inserted(self.backend.node)

    @property
    def qdev_path(self) -> str:
        """What its device is called; empty when there is none."""
        return self.user.qdev_path if self.user is not None else ""

    @property
    def counts_held(self) -> bool:
        """Whether its device counts a request as failed that is held and made again."""
        return self.user is not None and self.user.counts_held

    @property
    def shows_io_status(self) -> bool:
        """Whether errors may stop the machine, and the device remembers that."""
        return self.user is not None and self.user.has_io_status and self.policy.may_stop

    # The device

    async def use(self, user: DriveUser) -> None:
        """Take on a device, and hold what it needs of the medium.  The graph is locked.

        Raises:
            QMPError: Another user of the medium does not agree; nothing has changed.
        """
        # Whoever does not agree is told who asks.
        self.backend.name = self.name or user.qdev_path
        try:
            await self.backend.hold(self.needed_by(user, self.medium))
        except BaseException:
            self.backend.name = self.name
            raise
        self.user = user
        self.policy = self.policy.overridden(user.properties)
        write_cache = user.properties.get("write-cache") or "auto"
        if write_cache != "auto":
            self.write_cache = write_cache in ("on", True)
        self._count_as(user)

    def needed_by(self, user: DriveUser, medium: Node | None) -> PermissionSet:
        """Return what a device holds of a medium, and lets others hold."""
        used, shared = Permission.CONSISTENT_READ, Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED
        is_read_only = medium is None or medium.read_only
        if not user.read_only and (user.needs_writable or not is_read_only):
            used |= Permission.WRITE
        if user.allows_resize:
            shared |= Permission.RESIZE
        if user.properties.get("share-rw") in (True, "on"):
            shared |= Permission.WRITE
        return PermissionSet(used, shared)

    def _count_as(self, user: DriveUser) -> None:
        """Count what the device wants counted."""
        properties = user.properties
        for member, name in (("accounts_invalid", "account-invalid"), ("accounts_failed", "account-failed")):
            wanted = properties.get(name) or "auto"
            if wanted != "auto":
                setattr(self.statistics, member, wanted in ("on", True))
        for length_s in properties.get("stats-intervals") or ():
            self.statistics.add_interval(length_s, self.around.clock.monotonic_ns())

    async def leave(self) -> None:
        """Part with the device; what it asked for and is held fails.  The graph is locked."""
        self.requests.cancel_held()
        self.user = None
        self.backend.name = self.name
        self.is_locked = self.is_tray_open = False
        await self.backend.hold(NOTHING)

    def configure(self, options: DriveOptions) -> None:
        """Take over what ``-drive`` says of the drive itself."""
        self.policy = options.policy
        self.write_cache = options.write_cache
        self.copy_on_read = options.copy_on_read
        self.openness = Openness(options.read_only, options.direct, options.no_flush, options.detect_zeroes)
        self.statistics.accounts_invalid = options.accounts_invalid
        self.statistics.accounts_failed = options.accounts_failed
        for length_s in options.intervals_s:
            self.statistics.add_interval(length_s, self.around.clock.monotonic_ns())
        self.limit(options.limits, options.throttle_group)

    def disown(self) -> None:
        """Lose the name: the drive is deleted, but its device is there still, and errors are all told to it."""
        self.name = ""
        self.policy = REPORT_ALL
        self.backend.name = self.qdev_path
        self._name_root()

    def _name_root(self) -> None:
        """Let the medium know what it is called after."""
        if self.backend.root is not None:
            self.backend.root.device_name = self.name

    # The medium

    async def insert(self, node: Node) -> None:
        """Take in a medium; there is none.  The graph is locked.

        Raises:
            QMPError: Another user of the node does not agree; nothing has changed.
        """
        held = UNUSED if self.user is None else self.needed_by(self.user, node)
        await self.backend.insert(node, held)
        self._name_root()

    async def replace(self, node: Node) -> None:
        """Take in another medium in the place of the one there is, if there is one.  The graph is locked.

        QEMU: what the device holds stays as it is, so a read-only node is refused where it writes.

        Raises:
            QMPError: Another user of the node does not agree, or it cannot be used so; nothing has changed.
        """
        if self.backend.root is None:
            await self.insert(node)
        elif self.backend.node is not node:
            await self.backend.replace(node)

    async def remove(self) -> None:
        """Give the medium up, and close it if nobody else uses it.  The graph is locked.

        Raises:
            OSError: The image could not be written back in full; it is closed all the same.
        """
        self.remember_openness()
        await self.backend.remove()

    def remember_openness(self) -> None:
        """Keep in mind how the medium was opened."""
        if (medium := self.medium) is not None:
            self.openness = Openness.of(medium.flags)

    def move_tray(self, *, is_open: bool) -> None:
        """Open or close the tray, and tell of it; a device without one only changes its medium."""
        if not self.has_tray or self.is_tray_open == is_open:
            return
        self.is_tray_open = is_open
        data = {"device": self.name, "id": self.qdev_path, "tray-open": is_open}
        self.around.events.emit("DEVICE_TRAY_MOVED", data)

    # What the guest asks of the drive

    def eject(self, *, is_open: bool) -> None:
        """Open or close the tray for the guest, and that of a drive of the host with it."""
        if self.backend.root is not None:
            host_medium.move_tray(self.backend.node, is_open=is_open)
        self.move_tray(is_open=is_open)

    def lock_medium(self, *, is_locked: bool) -> None:
        """Hold the medium in for the guest, or let it go, in a drive of the host as well."""
        if self.backend.root is not None:
            host_medium.lock_medium(self.backend.node, is_locked=is_locked)
        self.is_locked = is_locked

    # Limits

    def limit(self, limits: ThrottleLimits, group: str | None = None) -> None:
        """Set the limits of the drive's group, or take the drive out of it where there are none.

        Args:
            limits: What all in the group may do together.
            group: The group to be in from now on; without it, the old one, or one called as the drive is.
        """
        groups = self.around.throttle_groups
        if limits == ThrottleLimits():
            self.unlimit()
            return
        if self.throttle is None or (group is not None and group != self.throttle_group):
            self.unlimit()
            self.throttle_group = group or self.name or self.qdev_path
            self.throttle = groups.join(self.throttle_group)
        self.throttle.group.limits = limits

    def unlimit(self) -> None:
        """Have no limits any more."""
        if self.throttle is not None:
            self.around.throttle_groups.leave(self.throttle_group, self.throttle)
            self.throttle = None

    # Errors

    def note_error(self, error: OSError, action: ErrorAction, *, is_read: bool) -> None:
        """Tell of an error, and stop the machine where that is what is done about it."""
        is_nospace = error.errno == errno.ENOSPC
        if action is ErrorAction.STOP and self.io_status == "ok":
            self.io_status = "nospace" if is_nospace else "failed"
        data: dict[str, object] = {
            "qom-path": self.user.qom_path if self.user is not None else "",
            "device": self.name,
            "operation": "read" if is_read else "write",
            "action": action.value,
            "reason": error_text(error),
        }
        if self.backend.root is not None:
            data["node-name"] = self.backend.node.node_name
        if self.shows_io_status:
            data["nospace"] = is_nospace
        self.around.events.emit("BLOCK_IO_ERROR", data)
        if action is ErrorAction.STOP:
            self.around.stop()

    def reset(self) -> None:
        """Forget held requests, as the guest does, and be closed and unlocked.

        QEMU: no event tells that a tray has closed so.
        """
        self.requests.cancel_held()
        self.is_tray_open = self.is_locked = False

    def resume(self) -> None:
        """Forget errors, and make requests again that they held: the machine runs."""
        self.io_status = "ok"
        self.requests.retry_held()


def no_medium(name: str) -> QMPError:
    """Return the refusal of what needs a medium, where there is none."""
    return QMPError(f"Device '{name}' has no medium")
