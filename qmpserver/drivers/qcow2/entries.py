"""Define the bit fields of L1 and L2 entries.

Source: qcow2 specification, "Cluster mapping".
"""

import errno
import os
from typing import Final

from qmpserver.units import SECTOR_SIZE

ENTRY_SIZE: Final = 8
"""Bytes of an entry in the L1, L2 and refcount tables."""

COPIED: Final = 1 << 63
"""Exactly one reference exists, so that the cluster may be written in place."""

COMPRESSED: Final = 1 << 62
"""The rest of the entry describes compressed data."""

ZERO: Final = 1
"""The cluster reads as zeroes (version 3); an offset beside it is room kept for later."""

OFFSET_MASK: Final = 0x00FF_FFFF_FFFF_FE00
"""The host offset in an L1 or L2 entry."""

REFBLOCK_MASK: Final = 0xFFFF_FFFF_FFFF_FE00
"""The host offset in an entry of the refcount table."""


def compressed_extent(entry: int, cluster_bits: int) -> tuple[int, int]:
    """Return the host offset and the greatest possible length in bytes of a compressed cluster."""
    size_shift = 62 - (cluster_bits - 8)
    offset = entry & ((1 << size_shift) - 1)
    more_sectors = (entry & (COMPRESSED - 1)) >> size_shift
    return offset, (more_sectors + 1) * SECTOR_SIZE - offset % SECTOR_SIZE


def compressed_entry(offset: int, length: int, cluster_bits: int) -> int:
    """Return the L2 entry of a compressed cluster.

    Args:
        offset: Host offset in bytes, anywhere.
        length: Bytes of compressed data, fewer than a cluster.
        cluster_bits: Binary logarithm of the cluster size.

    Raises:
        OSError: EFBIG when the offset is beyond what the entry can hold.
    """
    size_shift = 62 - (cluster_bits - 8)
    if offset >> size_shift:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    more_sectors = (offset + length - 1) // SECTOR_SIZE - offset // SECTOR_SIZE
    return COMPRESSED | more_sectors << size_shift | offset


def host_extent(entry: int, cluster_bits: int) -> tuple[int, int] | None:
    """Return the host offset and length in bytes that an L2 entry holds a reference to, if any."""
    if entry & COMPRESSED:
        return compressed_extent(entry, cluster_bits)
    offset = entry & OFFSET_MASK
    return (offset, 1 << cluster_bits) if offset else None
