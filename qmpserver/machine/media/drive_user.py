"""Say what a drive asks of the device that uses it."""

from collections.abc import Mapping
from typing import Any, Protocol


class DriveUser(Protocol):
    """A device, as its drive sees it."""

    @property
    def qdev_path(self) -> str:
        """What ``query-block`` calls it: its id, or its path where it has none or is part of another device."""

    @property
    def qom_path(self) -> str:
        """Its path among the objects."""

    @property
    def drive_owner(self) -> str:
        """The type that has the `drive` property, as ``virtio-blk-device``."""

    @property
    def properties(self) -> Mapping[str, Any]:
        """Its properties under their wire names: `rerror`, `werror`, `share-rw`, `write-cache`, ..."""

    @property
    def is_removable(self) -> bool:
        """Whether its medium can be taken out."""

    @property
    def has_tray(self) -> bool:
        """Whether its medium lies in a tray that opens."""

    @property
    def read_only(self) -> bool:
        """Whether it never writes, as a CD-ROM drive."""

    @property
    def needs_writable(self) -> bool:
        """Whether it refuses a medium that is read-only; others become read-only with it."""

    @property
    def allows_resize(self) -> bool:
        """Whether it bears it that its medium changes its size."""

    @property
    def counts_held(self) -> bool:
        """Whether it counts a request as failed that is held and made again, as SCSI disks do."""

    @property
    def has_io_status(self) -> bool:
        """Whether it remembers that a request failed and stopped the machine."""
