"""Give a new image all its mappings before it is used."""

from typing import Any

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.opening import ChildSpec
from qmpserver.drivers.qcow2.create_options import CreateOptions
from qmpserver.drivers.qcow2.opening import open_image
from qmpserver.errors import QMPError
from qmpserver.units import MiB, align_up

_PIECE = 4 * MiB
"""Bytes of zeroes that are written at once."""


class _CreationContext:
    """The engine's place is taken by the creation itself: one child, no options, nobody to tell."""

    node_name = ""
    read_only = False
    discard = False

    def __init__(self, file: BlockChild, data_file: BlockChild | None) -> None:
        self.options: dict[str, Any] = {}
        self._children = {"file": file, "data-file": data_file}

    def child(self, name: str) -> BlockChild | None:
        return self._children.get(name)

    async def open_child(self, spec: ChildSpec, filename: str) -> BlockChild:
        """Refuse: the creation was handed all the files there are."""
        raise QMPError(f"'{spec.name}' is required for this image")

    def report_corruption(self, message: str, offset: int | None, length: int | None, *, fatal: bool) -> None:
        """Tell nobody: a new image has no user, and the error is raised all the same."""


async def preallocate(file: BlockChild, options: CreateOptions, data_size: int) -> None:
    """Allocate every cluster of the new image in `file`; the file is made long enough to hold them.

    Args:
        file: The node that holds the image.
        options: How the image was made.
        data_size: Bytes that the external data file held before; they stay as they are.

    Raises:
        OSError: A file cannot be written.
    """
    data_file, mode = options.data_file, options.preallocation
    parts = await open_image(_CreationContext(file, data_file))
    offset, end, highest = 0, align_up(options.size, parts.image.cluster_size), 0
    while offset < end:
        allocation = await parts.allocator.allocate(offset, end - offset)
        if data_file is None:
            await _take_room(file, allocation.host_offset, allocation.length, mode)
        # A raw data file may hold something already, and what it holds is what is to be seen.
        await parts.allocator.link(allocation, is_filled=parts.image.is_external_raw)
        offset += allocation.length
        highest = max(highest, allocation.host_offset + allocation.length)
    await parts.committer.close()
    if data_file is not None:
        await _take_room(data_file, data_size, options.size - data_size, mode)
    elif highest > file.size:
        await file.truncate(highest)


async def _take_room(file: BlockChild, offset: int, length: int, mode: str) -> None:
    """Make the host set room aside for a range that holds nothing yet."""
    if length <= 0:
        return
    if mode == "falloc":
        await file.pwrite_zeroes(offset, length)
    elif mode == "full":
        zeroes = memoryview(bytes(min(length, _PIECE)))
        for start in range(offset, offset + length, _PIECE):
            await file.pwrite(start, zeroes[: offset + length - start])
