"""Copy an image's persistent bitmaps to another image, as ``convert --bitmaps`` does."""

from qmpserver.block import bitmap_actions
from qmpserver.block.bitmap_actions import NewBitmap
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.cli.command_line import Failure
from qmpserver.cli.reports import Reporter
from qmpserver.driver_api.bitmaps import StoredBitmap, SupportsBitmaps
from qmpserver.errors import QMPError

_COARSEST = 1 << 31
"""Bytes that a bit stands for in a bitmap that is small on any disk."""


def check(source: Node, *, skips_broken: bool) -> None:
    """Refuse bitmaps that cannot be copied, before anything else is.

    Raises:
        Failure: The image can have none, or one is broken and not to be skipped.
    """
    if not isinstance(source.driver, SupportsBitmaps):
        raise Failure("Source lacks bitmap support")
    for bitmap in _persistent(source):
        if bitmap.is_inconsistent and not skips_broken:
            raise Failure(
                f"Cannot copy inconsistent bitmap '{bitmap.name}'",
                below="Try --skip-broken-bitmaps, or use 'qemu-img bitmap --remove' to delete it.",
            )


def check_target(target: Node) -> None:
    """Refuse an image that can hold no bitmap.

    Raises:
        Failure: With QEMU's text.
    """
    driver = target.driver
    try:
        if not isinstance(driver, SupportsBitmaps):
            raise QMPError("no bitmaps")
        driver.check_new_bitmap(StoredBitmap("any", _COARSEST, is_enabled=False), ())
    except QMPError as error:
        raise Failure(f"Format driver '{driver.format_name}' does not support bitmaps") from error


async def copy(graph: Graph, source: Node, target: Node, reporter: Reporter) -> None:
    """Copy every bitmap that is not broken; say which are.

    Raises:
        Failure: One cannot be copied; those before it are.
    """
    for bitmap in _persistent(source):
        if bitmap.is_inconsistent:
            reporter.warning(f"Skipping inconsistent bitmap '{bitmap.name}'")
            continue
        await _copy(graph, bitmap, source, target)


async def _copy(graph: Graph, bitmap: DirtyBitmap, source: Node, target: Node) -> None:
    name = bitmap.name or ""
    wanted = NewBitmap(name, bitmap.granularity, is_persistent=True, is_enabled=bitmap.is_enabled)
    merge = bitmap_actions.MergeBitmaps(graph, (target.node_name, name), [(source.node_name, name)])
    async with graph.lock:
        try:
            await bitmap_actions.AddBitmap(target, wanted).prepare()
        except QMPError as error:
            raise Failure(f"Failed to create bitmap {name}: {error.description}") from error
        try:
            await merge.prepare()
        except QMPError as error:
            raise Failure(f"Failed to populate bitmap {name}: {error.description}") from error


def _persistent(node: Node) -> list[DirtyBitmap]:
    """Return the bitmaps that are stored in a node's image, newest first as QEMU goes through them."""
    return [bitmap for bitmap in reversed(node.dirty_bitmaps) if bitmap.is_persistent]
