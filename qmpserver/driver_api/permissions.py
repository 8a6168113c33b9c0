"""Say what a user of a node may do to it, lets others do, and uses it for."""

import enum
from typing import NamedTuple


class Permission(enum.IntFlag):
    """What the user of a node does with it; QEMU's ``BLK_PERM_*``, bit for bit.

    The bit numbers are part of the outside world: the byte-range locks on an image file that real
    QEMU tools honour are taken at offsets derived from them.
    """

    CONSISTENT_READ = 1 << 0
    WRITE = 1 << 1
    WRITE_UNCHANGED = 1 << 2
    RESIZE = 1 << 3

    @property
    def wire_name(self) -> str:
        """Return the name on the wire, of a single permission."""
        return (self.name or "").lower().replace("_", "-")


PERM_NONE = Permission(0)
PERM_ALL = Permission.CONSISTENT_READ | Permission.WRITE | Permission.WRITE_UNCHANGED | Permission.RESIZE


class ChildRole(enum.IntFlag):
    """What a parent uses a child for; QEMU's ``BDRV_CHILD_*``."""

    DATA = 1 << 0
    """Guest data is stored there."""
    METADATA = 1 << 1
    """The parent's own structures are stored there."""
    FILTERED = 1 << 2
    """The child presents the same data as the parent."""
    COW = 1 << 3
    """The child supplies what the parent does not hold."""
    PRIMARY = 1 << 4
    """The child stands for the parent: file names and sizes come from it."""


IMAGE = ChildRole.DATA | ChildRole.METADATA | ChildRole.PRIMARY
"""The usual role of a format's `file` child."""


class PermissionSet(NamedTuple):
    """The permissions one user holds, and those it lets every other user hold."""

    used: Permission
    shared: Permission


READING = PermissionSet(Permission.CONSISTENT_READ, PERM_ALL)
"""What a tool holds that reads an image and lets others do what they like; further ones write it and resize it."""

WRITING = PermissionSet(Permission.CONSISTENT_READ | Permission.WRITE, PERM_ALL)
RESIZING = PermissionSet(WRITING.used | Permission.RESIZE, PERM_ALL)
