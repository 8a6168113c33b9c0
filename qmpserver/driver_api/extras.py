"""Small protocols for what only some drivers can do.  Test for them with ``isinstance``."""

import enum
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.opening import OpenContext
from qmpserver.driver_api.permissions import PermissionSet


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
class SupportsCreate(Protocol):
    """A format of which new images can be made."""

    @classmethod
    async def create(cls, file: BlockChild, options: dict[str, Any]) -> None:
        """Make an empty image in `file`, whose old content is lost.

        Args:
            file: The node to hold the image.
            options: The format's ``BlockdevCreateOptions`` members, without `driver` and `file`.  Where
                one names a node (`data-file`), the opened :class:`BlockChild` stands in its place.

        Raises:
            QMPError: An option's value cannot be had.
            OSError: `file` cannot be written.
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


@runtime_checkable
class SupportsReopen(Protocol):
    """A driver that can change between read-only and read-write, and its cache mode, while open."""

    async def prepare_reopen(self, *, read_only: bool, options: dict[str, Any]) -> None:
        """Obtain what the new state needs, keeping the old.

        Raises:
            QMPError: An option cannot be changed.
            OSError: The image cannot be opened in the mode needed.  Nothing is changed.
        """

    async def commit_reopen(self) -> None:
        """Enter the prepared state."""

    async def abort_reopen(self) -> None:
        """Forget the prepared state."""


class CheckMode(enum.Enum):
    """What a check may put right; each includes the former."""

    NONE = "none"
    """Nothing: the image is only looked at."""
    LEAKS = "leaks"
    """Space that nothing refers to is given back."""
    ALL = "all"
    """Errors that could lose data are corrected as well, as far as that is possible."""


@dataclass(slots=True)
class CheckResult:
    """What a check found; the members are those of QEMU's ``ImageCheck``.

    Attributes:
        corruptions: What could lose data, and still is so.
        leaks: Clusters that are counted more often than they are used, and still are so.
        check_errors: What could not be checked.
        corruptions_fixed: Corruptions that were put right.
        leaks_fixed: Leaks that were put right.
        image_end_offset: Host offset of the first byte after all that is used.
        total_clusters: Clusters of the virtual disk.
        allocated_clusters: Those that have room in the image.
        fragmented_clusters: Those that do not follow the one before on the host.
        compressed_clusters: Those that are compressed.
    """

    corruptions: int = 0
    leaks: int = 0
    check_errors: int = 0
    corruptions_fixed: int = 0
    leaks_fixed: int = 0
    image_end_offset: int = 0
    total_clusters: int = 0
    allocated_clusters: int = 0
    fragmented_clusters: int = 0
    compressed_clusters: int = 0


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

    async def check(self, fix: CheckMode) -> CheckResult:
        """Check the image's structures.  The node is drained, and writable if anything is to be put right.

        Raises:
            OSError: Something could not be read or written.
        """
