"""Small protocols for what only devices of the host can do.  Test for them with ``isinstance``."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class SupportsIoctl(Protocol):
    """A driver, or a node, that hands requests of its own kind (SCSI commands) to a device of the host."""

    async def ioctl(self, request: int, argument: bytearray | int) -> int:
        """Have the device carry out a request.

        Args:
            request: Its number, as ``ioctl`` takes it.
            argument: A number, or memory that the request may change.  Where it holds pointers, what they point
                to stays where it is until the request has ended.

        Returns:
            What the host returns, never negative.

        Raises:
            OSError: ENOTSUP where there is no device of the host; else what the host says.
        """


@runtime_checkable
class SupportsMedium(Protocol):
    """A driver whose medium comes and goes, in a drive of the host; it says `has_drive` of itself."""

    def find_medium(self) -> bool:
        """Say whether there is a medium that can be read."""

    def move_tray(self, *, is_open: bool) -> None:
        """Open or close the drive's own tray, if it can."""

    def lock_medium(self, *, is_locked: bool) -> None:
        """Lock the medium into the drive, or free it, if it can."""
