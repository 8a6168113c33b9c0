"""Small protocols for what only some drivers can do.  Test for them with ``isinstance``."""

from typing import Any, Protocol, runtime_checkable

from qmpserver.driver_api.child import BlockChild
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
            options: The format's ``BlockdevCreateOptions`` members, without `driver` and `file`.

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
