"""Switch an open image to tables that were written anew, and have memory follow."""

from qmpserver.drivers.qcow2.opening import OpenImage, reload
from qmpserver.drivers.qcow2.snapshot_change import SnapshotChange


async def switch_to(parts: OpenImage, change: SnapshotChange, **header: int) -> None:
    """Make the change valid, with these header fields.

    Raises:
        OSError: The old state is still valid; or, if only the last barrier failed, the new one is in use but
            may be lost by a power cut.
    """
    image, old = parts.image, parts.image.header
    try:
        await change.switch(**header)
    finally:
        if image.header is not old:
            await _follow(parts)
            # Until a barrier is passed nothing may be put where only the old state had something.  Clusters
            # that are freed then are looked at again.
            parts.refcounts.next_free = image.child.size + image.cluster_size - 1 >> image.cluster_bits
    parts.refcounts.next_free = 0


async def _follow(parts: OpenImage) -> None:
    try:
        await reload(parts)
    except OSError:
        # What is in memory does not belong to what is on disk: nothing may be written from it.
        parts.image.broken = True
        parts.image.when_broken()
        raise
