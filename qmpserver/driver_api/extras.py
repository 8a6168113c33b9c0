"""Small protocols for what only some drivers can do.  Test for them with ``isinstance``."""

import enum
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, runtime_checkable

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import PermissionSet
from qmpserver.driver_api.secrets import SecretSource, no_secrets

if TYPE_CHECKING:  # most of those who want to know what a driver can do check nothing
    from qmpserver.driver_api.check_result import CheckResult


@runtime_checkable
class SupportsBackingFile(Protocol):
    """An image that names another as its backing file."""

    @property
    def backing_filename(self) -> str | None:
        """The name stored in the image, or None when there is none."""

    @property
    def backing_format(self) -> str | None:
        """The backing image's format as stored, or None when it is to be probed."""

    async def change_backing_file(self, filename: str | None, backing_format: str | None) -> None:
        """Store another backing file name, durably, after everything that it relies on.

        Raises:
            OSError: The image is unchanged, or cannot hold the name (EINVAL, ENOSPC).
        """


@runtime_checkable
class SupportsMakeEmpty(Protocol):
    """An image that can let go of all it holds."""

    async def make_empty(self) -> None:
        """Drop all guest data, durably, so that the backing file shows through everywhere.

        The node is drained.

        Raises:
            OSError: Something could not be written; parts may be dropped already.
        """


@runtime_checkable
class SupportsCreate(Protocol):
    """A format of which new images can be made."""

    @classmethod
    async def create(
        cls, file: BlockChild, options: dict[str, Any], secrets: SecretSource = no_secrets
    ) -> None:
        """Make an empty image in `file`, whose old content is lost.

        Args:
            file: The node to hold the image.
            options: The format's ``BlockdevCreateOptions`` members, without `driver` and `file`.  Where
                one names a node (`data-file`), the opened :class:`BlockChild` stands in its place.
            secrets: Where the secrets are that options name.

        Raises:
            QMPError: An option's value cannot be had.
            OSError: `file` cannot be written.
        """


@runtime_checkable
class SupportsCreateFile(Protocol):
    """A protocol that can make what its images are kept in."""

    @classmethod
    async def create_file(cls, options: dict[str, Any]) -> None:
        """Make a file, or empty the one that there is.

        Args:
            options: The protocol's ``BlockdevCreateOptions`` members, without `driver`.

        Raises:
            QMPError: It cannot be made, or an option cannot be had.
            OSError: It cannot be written; where QEMU words the reason, `strerror` is its text.
        """


@runtime_checkable
class SupportsPermissions(Protocol):
    """A protocol that makes permissions known outside this process, by locks or open modes."""

    async def prepare_permissions(self, permissions: PermissionSet) -> None:
        """Obtain what `permissions` needs, keeping what is held.

        Raises:
            QMPError: Another process does not allow it.
            OSError: The image cannot be opened in the mode needed.  Nothing is changed.
        """

    def commit_permissions(self) -> None:
        """Let go of what the prepared permissions no longer need."""

    def abort_permissions(self) -> None:
        """Go back to what was held before `prepare_permissions`."""


CopiedRange = tuple[int, int, int]
"""Which bytes of one file go where in another: the first one there, the first one here, and how many."""


@runtime_checkable
class SupportsCopyRange(Protocol):
    """A protocol that can have the host copy between two of its own, without the bytes passing here."""

    async def copy_ranges(self, source: BlockDriver, ranges: Sequence[CopiedRange], unit: int) -> bool:
        """Copy ranges of another driver's bytes into this one.

        Args:
            source: The driver to copy from.
            ranges: What goes where.
            unit: What is all zeroes in one such piece should be stored as zeroes, and is not copied.

        Returns:
            Whether it was done.  If not, the caller moves the bytes itself; some may have been written.

        Raises:
            OSError: The range cannot be read or written.
        """


@runtime_checkable
class SupportsDrain(Protocol):
    """A driver that holds requests back by itself, and has to let them go when its node is drained."""

    def drain_begin(self) -> None:
        """Hold nothing back until :meth:`drain_end`; calls may nest."""

    def drain_end(self) -> None:
        """Go on as before the first :meth:`drain_begin`."""


@runtime_checkable
class SupportsHurry(Protocol):
    """A protocol whose requests may wait for somebody who does not answer, and which can put a bound to that."""

    def hurry_begin(self) -> None:
        """Let no request wait without a bound until :meth:`hurry_end`; calls may nest."""

    def hurry_end(self) -> None:
        """Go on as before the first :meth:`hurry_begin`."""

    def cancel_held(self) -> None:
        """Fail what is held back until somebody is there again; nobody wants it done any more."""


@runtime_checkable
class SupportsReopen(Protocol):
    """A driver whose node can be reopened: read-only or not, with another cache mode or other options.

    The node is drained meanwhile, and the driver's own requests to what lies below pass.  The engine has
    seen to it that only the driver's `changeable_options` differ.
    """

    async def prepare_reopen(self, *, read_only: bool, options: dict[str, Any]) -> None:
        """Obtain what the new state needs, keeping the old.

        Args:
            read_only: The new state.
            options: All that is to be in force under its wire name: the driver's own options, and
                `read-only`, `auto-read-only`, `cache` and `discard`.

        Raises:
            QMPError: An option cannot be changed.
            OSError: The image cannot be opened in the mode needed.  Nothing is changed.
        """

    async def commit_reopen(self) -> None:
        """Enter the prepared state."""

    async def abort_reopen(self) -> None:
        """Forget the prepared state."""


@runtime_checkable
class SupportsChildChange(Protocol):
    """A driver whose children may come and go while it is open (``x-blockdev-change``).  The node is drained."""

    def next_child(self) -> ChildSpec:
        """Say what one more child would be called, and used for.

        Raises:
            QMPError: There cannot be more.
        """

    def child_added(self, name: str, child: BlockChild) -> None:
        """Use the child as well."""

    def check_removable(self, name: str) -> None:
        """Refuse to do without a child.

        Raises:
            QMPError: It is needed.
        """

    def child_removed(self, name: str) -> None:
        """Go on without the child."""


@runtime_checkable
class SupportsRereading(Protocol):
    """A protocol that remembers something of an image which another process may have changed."""

    async def reread(self) -> None:
        """Find it out again.  The node is drained.

        Raises:
            OSError: The image cannot be reached.
        """


class CheckMode(enum.Enum):
    """What a check may put right; each includes the former."""

    NONE = "none"
    """Nothing: the image is only looked at."""
    LEAKS = "leaks"
    """Space that nothing refers to is given back."""
    ALL = "all"
    """Errors that could lose data are corrected as well, as far as that is possible."""


@runtime_checkable
class SupportsCheck(Protocol):
    """A format whose images can be checked, and perhaps repaired."""

    @classmethod
    async def open_for_check(cls, context: OpenContext) -> Self:
        """Open an image to be checked only: damage that a check can tell of is no reason to refuse.

        Raises:
            QMPError: It is damaged beyond that.
            OSError: It cannot be read.
        """

    async def check(self, fix: CheckMode, report: Callable[[str], object] | None = None) -> "CheckResult":
        """Check the image's structures.  The node is drained, and writable if anything is to be put right.

        Args:
            fix: What to put right.
            report: Told of each error, or None.

        Raises:
            OSError: Something could not be read or written.
        """


@runtime_checkable
class SupportsAmendPermissions(Protocol):
    """A format that shares what it is stored in, but not while that is amended.

    The engine brings permissions up to date after each call.
    """

    def begin_amend(self) -> None:
        """From now on need the children as amending takes."""

    def end_amend(self) -> None:
        """Need them as before."""


@runtime_checkable
class SupportsAmend(Protocol):
    """A format of which some options can be changed after creation."""

    async def amend(
        self, options: dict[str, Any], secrets: SecretSource = no_secrets, *, force: bool = False
    ) -> None:
        """Change options of the image.  The node is drained.

        Args:
            options: Members of the format's ``BlockdevCreateOptions``; what is not given stays as it is.
            secrets: Where the secrets are that options name.
            force: Also make changes after which the image may be lost.

        Raises:
            QMPError: An option cannot be changed, or not to this value; those before it may be changed.
            OSError: The image cannot be read or written.
        """


class SnapshotInfo(NamedTuple):
    """An internal snapshot; the members are those of QEMU's ``SnapshotInfo``.

    Attributes:
        snapshot_id: What tells it from others.
        name: What its user called it; need not be unique.
        vm_state_size: Bytes of machine state that it holds.
        date_sec: When it was taken, in seconds since 1970.
        date_nsec: Nanoseconds to be added.
        vm_clock_ns: How long the machine had run.
        icount: Instructions that the machine had executed, or None when they were not counted.
    """

    snapshot_id: str
    name: str
    vm_state_size: int = 0
    date_sec: int = 0
    date_nsec: int = 0
    vm_clock_ns: int = 0
    icount: int | None = None


@runtime_checkable
class SupportsSnapshots(Protocol):
    """A format that keeps earlier states of the disk, and a machine's state, inside the image.

    The node is drained during every change.  A snapshot is named by its id, its name, or both; the first that
    fits is meant.  Where none does, OSError with ENOENT is raised and nothing is changed.
    """

    @property
    def can_hold_snapshots(self) -> bool:
        """Whether this image can have any."""

    @property
    def snapshots(self) -> tuple[SnapshotInfo, ...]:
        """The snapshots, in the order they were taken."""

    async def create_snapshot(self, wanted: SnapshotInfo) -> SnapshotInfo:
        """Keep the present state, with the machine state written before, and return what was stored.

        Args:
            wanted: How to describe it; an id is chosen where that is empty.

        Raises:
            OSError: EEXIST for an id that there is; ENOTSUP, EINVAL, ENOSPC when the image cannot hold it.
        """

    async def apply_snapshot(self, snapshot_id: str | None, name: str | None) -> None:
        """Make a snapshot's state, its size included, the present one.

        Raises:
            OSError: See the class; the present state is unchanged.
        """

    async def delete_snapshot(self, snapshot_id: str | None, name: str | None) -> None:
        """Forget a snapshot and give up what only it holds.

        Raises:
            OSError: See the class; the snapshot is still there.
        """

    async def load_snapshot(self, snapshot_id: str | None, name: str | None) -> None:
        """Show a snapshot's state until the image is closed.  The image is open read-only.

        Raises:
            OSError: See the class.
        """

    async def write_vm_state(self, offset: int, data: memoryview) -> None:
        """Store machine state at a byte offset of its own area, for the snapshot that is taken next."""

    async def read_vm_state(self, offset: int, into: memoryview) -> None:
        """Read machine state of the snapshot that was applied or loaded."""

    async def read_snapshot_vm_state(self, snapshot_id: str, offset: int, into: memoryview) -> None:
        """Read machine state of a snapshot as it lies there; what was never written reads as zeroes.

        Raises:
            OSError: See the class; EIO when it is damaged.
        """


@runtime_checkable
class SupportsVmState(Protocol):
    """A format with room for a machine's state, behind the disk."""

    @property
    def vm_state_offset(self) -> int:
        """Where that room begins: a guest offset at or past the disk's end."""

    async def write_vm_state(self, offset: int, data: memoryview) -> None:
        """Store machine state; see :meth:`SupportsSnapshots.write_vm_state`."""

    async def read_vm_state(self, offset: int, into: memoryview) -> None:
        """Read machine state; see :meth:`SupportsSnapshots.read_vm_state`."""


@runtime_checkable
class SupportsYank(Protocol):
    """A protocol with a connection that may hang."""

    def yank(self) -> None:
        """Cut the connection for good; requests that wait for it, and all later ones, fail."""
