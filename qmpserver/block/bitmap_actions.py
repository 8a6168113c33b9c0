"""Add, remove, clear, switch and merge dirty bitmaps, each so that it can be taken back.

The steps are those of :class:`~qmpserver.transaction.TransactionAction`: what `prepare` does is in force, and
`abort` undoes it.  The graph is locked from the first to the last.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from qmpserver.block import bitmap_store
from qmpserver.block.bitmap_checks import check_idle, check_readable, check_writable
from qmpserver.block.bitmap_lookup import find, on_node
from qmpserver.block.chain import skip_filters
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.driver_api.bitmaps import StoredBitmap
from qmpserver.errors import QMPError
from qmpserver.transaction import TransactionAction
from qmpserver.units import KiB, is_power_of_two

MAX_NAME: Final = 1023
_MIN_GRANULARITY: Final = 512


class NewBitmap(NamedTuple):
    """A bitmap to be added.

    Attributes:
        name: What to call it.
        granularity: Bytes that share one bit; None for the image's clusters, within reason.
        is_persistent: It is to be stored in the image.
        is_enabled: It records writes from now on.
    """

    name: str
    granularity: int | None = None
    is_persistent: bool = False
    is_enabled: bool = True


class AddBitmap(TransactionAction):
    """Add a bitmap to a node.

    Args:
        node: The node.
        wanted: What bitmap.
    """

    def __init__(self, node: Node, wanted: NewBitmap) -> None:
        self._node = node
        self._wanted = wanted
        self._bitmap: DirtyBitmap | None = None

    async def prepare(self) -> None:
        """Add it.

        Raises:
            QMPError: It cannot be had; nothing has changed.
        """
        node, wanted = self._node, self._wanted
        if not wanted.name:
            raise QMPError("Bitmap name cannot be empty")
        granularity = wanted.granularity
        if granularity is None:
            granularity = default_granularity(node)
        elif not is_power_of_two(granularity) or granularity < _MIN_GRANULARITY:
            raise QMPError(f"Granularity must be power of 2 and at least {_MIN_GRANULARITY}")
        existing = on_node(node, wanted.name)
        if wanted.is_persistent and existing is None:
            bitmap_store.check_new(node, StoredBitmap(wanted.name, granularity, wanted.is_enabled))
        if existing is not None:
            raise QMPError(f"Bitmap already exists: {wanted.name}")
        if len(wanted.name.encode()) > MAX_NAME:
            raise QMPError(f"Bitmap name too long: {wanted.name}")
        self._bitmap = bitmap = DirtyBitmap(node.size, granularity, wanted.name)
        bitmap.is_persistent, bitmap.is_enabled = wanted.is_persistent, wanted.is_enabled
        node.dirty_bitmaps.append(bitmap)

    async def abort(self) -> None:
        """Take it away again; it is not in the image yet."""
        if self._bitmap is not None:
            self._node.dirty_bitmaps.remove(self._bitmap)


def default_granularity(node: Node) -> int:
    """Return the granularity of a bitmap of which nothing is said: the image's cluster, from 4 to 64 KiB."""
    cluster_size = skip_filters(node).driver.image_info().get("cluster-size", 64 * KiB)
    return max(4 * KiB, min(int(cluster_size), 64 * KiB))


class RemoveBitmap(TransactionAction):
    """Remove a bitmap from its node, and from the image.

    Args:
        node: The node.
        bitmap: The bitmap.
    """

    def __init__(self, node: Node, bitmap: DirtyBitmap) -> None:
        self._node = node
        self._bitmap = bitmap
        self._is_held = False

    async def prepare(self) -> None:
        """Remove it from the image, where it counts as out of date anyway, and keep others from using it.

        Raises:
            QMPError: It is in use, or the image cannot be written; it is still there.
        """
        check_idle(self._bitmap)
        if self._bitmap.is_persistent:
            await bitmap_store.remove(self._node, self._bitmap)
        self._bitmap.is_busy = self._is_held = True

    async def commit(self) -> None:
        """Let it go."""
        self._node.dirty_bitmaps.remove(self._bitmap)

    async def abort(self) -> None:
        """Give it back; a persistent one is stored again when the node is closed."""
        if self._is_held:
            self._bitmap.is_busy = False


class ClearBitmap(TransactionAction):
    """Unmark everything in a bitmap.

    Args:
        bitmap: The bitmap.
    """

    def __init__(self, bitmap: DirtyBitmap) -> None:
        self._bitmap = bitmap
        self._backup: DirtyBitmap | None = None

    async def prepare(self) -> None:
        """Clear it.

        Raises:
            QMPError: It may not be changed.
        """
        check_writable(self._bitmap)
        self._backup = _marks_of(self._bitmap)
        self._bitmap.clear()

    async def abort(self) -> None:
        """Mark again what was marked."""
        if self._backup is not None:
            self._bitmap.take_marks(self._backup)


class SwitchBitmap(TransactionAction):
    """Let a bitmap record writes, or no longer do so.

    Args:
        bitmap: The bitmap.
        is_enabled: The state it is to have.
    """

    def __init__(self, bitmap: DirtyBitmap, *, is_enabled: bool) -> None:
        self._bitmap = bitmap
        self._is_enabled = is_enabled
        self._was_enabled: bool | None = None

    async def prepare(self) -> None:
        """Switch it.

        Raises:
            QMPError: It is in use, or inconsistent.
        """
        check_readable(self._bitmap)
        self._was_enabled = self._bitmap.is_enabled
        self._bitmap.is_enabled = self._is_enabled

    async def abort(self) -> None:
        """Switch it back."""
        if self._was_enabled is not None:
            self._bitmap.is_enabled = self._was_enabled


class MergeBitmaps(TransactionAction):
    """Mark in one bitmap what others have marked.

    Args:
        graph: The graph of all.
        target: Node and name of the bitmap that is changed.
        sources: Node and name of each of the others.
    """

    def __init__(self, graph: Graph, target: tuple[str, str], sources: Sequence[tuple[str, str]]) -> None:
        self._graph = graph
        self._target = target
        self._sources = sources
        self._changed: DirtyBitmap | None = None
        self._backup: DirtyBitmap | None = None

    async def prepare(self) -> None:
        """Merge them.

        Raises:
            QMPError: One is not there, may not be used or is of another size; nothing has changed.
        """
        _, target = find(self._graph, *self._target)
        found = [self._source(target, *source) for source in self._sources]
        # QEMU: the target's own state is looked at last.
        check_writable(target)
        self._changed, self._backup = target, _marks_of(target)
        for bitmap in found:
            target.merge(bitmap)

    def _source(self, target: DirtyBitmap, node_name: str, name: str) -> DirtyBitmap:
        _, bitmap = find(self._graph, node_name, name)
        check_readable(bitmap)
        if bitmap.size != target.size:
            raise QMPError(
                f"Bitmaps are of different sizes (destination size is {target.size}, "
                f"source size is {bitmap.size}) and can't be merged"
            )
        return bitmap

    async def abort(self) -> None:
        """Have the target as it was."""
        if self._changed is not None and self._backup is not None:
            self._changed.take_marks(self._backup)


def _marks_of(bitmap: DirtyBitmap) -> DirtyBitmap:
    marks = DirtyBitmap(bitmap.size, bitmap.granularity)
    marks.take_marks(bitmap)
    return marks
