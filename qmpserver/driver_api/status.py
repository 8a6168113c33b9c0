"""Say what is known about a range without reading it."""

from typing import NamedTuple


class BlockStatus(NamedTuple):
    """What is known about one run of a node's bytes; QEMU's ``BDRV_BLOCK_*`` as members.

    Attributes:
        length: Bytes of the run from the offset asked about; never zero unless at the end.
        is_data: The node or something below stores bytes for it.
        is_zero: It is known to read as zeroes.
        is_allocated: This node determines it, rather than a backing node.
        host_offset: Where it lies in the lowest file, or None when not known or not in one run.
        is_compressed: It is stored in a form that takes work to read.
    """

    length: int
    is_data: bool
    is_zero: bool
    is_allocated: bool
    host_offset: int | None = None
    is_compressed: bool = False
