"""Say where the bytes of a guest range live.

A format driver answers *where*; the engine moves the bytes.  Reading, copy-on-write, zeroes, block
status and every job are built from these answers alone, and so agree by construction.
"""

import enum
from typing import NamedTuple

from qmpserver.driver_api.child import BlockChild


class MappingKind(enum.Enum):
    """The four places where the bytes of a range can be."""

    DATA = "data"
    """Stored plainly in a child, in one run."""
    ZERO = "zero"
    """Known to be zeroes in this image, whatever lies below."""
    BACKING = "backing"
    """Not in this image: the backing child supplies it, or zeroes where there is none."""
    SPECIAL = "special"
    """In this image, but only the driver can read it (compressed, encrypted)."""


class Mapping(NamedTuple):
    """Where one run of guest bytes lives.  A named tuple, because each request makes one.

    Attributes:
        kind: Which of the four places.
        length: Bytes of the run from the offset asked about; never zero, at most what was asked.
        child: The child that stores it (DATA), or has room for it (ZERO, BACKING); else None.
        offset: Host offset in `child` of the run's first byte; 0 where there is none.
        in_place: The run may be overwritten where it lies (DATA): nothing else shares it.
    """

    kind: MappingKind
    length: int
    child: BlockChild | None = None
    offset: int = 0
    in_place: bool = False


class Allocation:
    """Room that a driver has reserved for a write and not yet made visible.

    The engine fills all of ``[offset, offset + length)`` at `host_offset` of `child`, old bytes
    around the new ones included, and then calls :meth:`MappingDriver.link`; or
    :meth:`MappingDriver.release` when that failed.

    Attributes:
        offset: Guest offset in bytes where the room begins, at or below the offset asked for.
        length: Bytes of the room; it covers the first byte asked for, perhaps not the last.
        child: The child the room is in.
        host_offset: Where in `child` the guest's `offset` lands.
    """

    __slots__ = ("child", "host_offset", "length", "offset")

    def __init__(self, offset: int, length: int, child: BlockChild, host_offset: int) -> None:
        self.offset = offset
        self.length = length
        self.child = child
        self.host_offset = host_offset
