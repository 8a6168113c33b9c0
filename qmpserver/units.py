"""Give sizes, durations and addresses their units as types and names."""

from typing import NewType

KiB = 1 << 10
MiB = 1 << 20
GiB = 1 << 30

NS_PER_MS = 1_000_000
NS_PER_SECOND = 1_000_000_000

SECTOR_SIZE = 512
"""QEMU's block layer rounds sizes to sectors of this many bytes."""

GuestOffset = NewType("GuestOffset", int)
"""A byte address on the virtual disk a node presents."""

HostOffset = NewType("HostOffset", int)
"""A byte address inside the image file below a node."""

ClusterIndex = NewType("ClusterIndex", int)
"""The number of a cluster, counted from 0, in whichever space the name says."""


def align_down(value: int, alignment: int) -> int:
    """Round down to a multiple of `alignment`, any positive number."""
    return value - value % alignment


def align_up(value: int, alignment: int) -> int:
    """Round up to a multiple of `alignment`, any positive number."""
    return -(-value // alignment) * alignment


def is_aligned(value: int, alignment: int) -> bool:
    """Say whether `value` is a multiple of `alignment`."""
    return value % alignment == 0


def is_power_of_two(value: int) -> bool:
    """Say whether `value` is 1, 2, 4, 8, ..."""
    return value > 0 and value & (value - 1) == 0


def signed64(value: int) -> int:
    """Return what a size of 64 bits stands for where QEMU takes it for a signed number."""
    return value - (1 << 64) if value >= 1 << 63 else value
