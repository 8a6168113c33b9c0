"""Give a new image all its mappings before it is used."""

from qmpserver.driver_api.child import BlockChild
from qmpserver.drivers.qcow2.opening import open_image
from qmpserver.units import align_up


class _CreationContext:
    """The engine's place is taken by the creation itself: one child, no options, nobody to tell."""

    node_name = ""
    read_only = False
    discard = False

    def __init__(self, file: BlockChild) -> None:
        self._file = file

    def child(self, name: str) -> BlockChild | None:
        return self._file if name == "file" else None

    def report_corruption(self, message: str, offset: int | None, length: int | None, *, fatal: bool) -> None:
        """Tell nobody: a new image has no user, and the error is raised all the same."""


async def preallocate(file: BlockChild, size: int) -> None:
    """Allocate every cluster of the new image in `file`; the file is made long enough to hold them.

    Args:
        file: The node that holds the image.
        size: The image's size in bytes.

    Raises:
        OSError: The file cannot be written.
    """
    parts = await open_image(_CreationContext(file))
    offset, end, highest = 0, align_up(size, parts.image.cluster_size), 0
    while offset < end:
        allocation = await parts.allocator.allocate(offset, end - offset)
        await parts.allocator.link(allocation)
        offset += allocation.length
        highest = max(highest, allocation.host_offset + allocation.length)
    await parts.committer.close()
    if highest > file.size:
        await file.truncate(highest)
