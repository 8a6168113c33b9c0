"""Walk backing chains, and say what is allocated in which layer."""

import os
from collections.abc import Iterator
from typing import TypeVar

from qmpserver.block import filenames
from qmpserver.block.view import NodeView
from qmpserver.driver_api.status import BlockStatus

N = TypeVar("N", bound=NodeView)


def skip_filters(node: N) -> N:
    """Return the first node at or below `node` that is no filter."""
    while (below := node.filtered) is not None:
        node = below
    return node


def skip_implicit(node: N) -> N:
    """Return the first node at or below `node` that is no filter which a job put in unasked."""
    while node.is_implicit and (below := node.filtered) is not None:
        node = below
    return node


def below(node: N) -> N | None:
    """Return the next node of the chain: the filtered one, or the backing one."""
    return node.filtered or node.backing


def nodes(top: N) -> Iterator[N]:
    """Return the nodes of the chain that begins at `top`, filters included, top first."""
    node: N | None = top
    while node is not None:
        yield node
        node = below(node)


def contains(top: NodeView, wanted: NodeView) -> bool:
    """Say whether `wanted` is in the chain that begins at `top`."""
    return any(node is wanted for node in nodes(top))


async def is_allocated_down_to(
    node: NodeView, bottom: str | None, offset: int, length: int
) -> tuple[bool, int]:
    """Say whether any layer from `node` down to the one named `bottom` determines the range.

    Args:
        node: Where to begin.
        bottom: The last node asked, or None to ask the whole chain.
        offset: First byte of the range.
        length: Bytes of the range.

    Returns:
        The answer, and the bytes from `offset` that it holds for.
    """
    for layer in nodes(node):
        if not layer.driver.is_filter:
            if offset >= layer.size:
                return _hides_what_is_below(layer, offset), length
            status = await layer.block_status(offset, length)
            length = status.length
            if status.is_allocated:
                return True, length
        if layer.node_name == bottom:
            break
    return False, length


def _hides_what_is_below(short: NodeView, offset: int) -> bool:
    """Say whether a layer that ends before `offset` keeps deeper data there from showing.

    QEMU: a stream that keeps its base ends at the end of a short layer above that base, and lets
    the base's data show there; we count the zeroes as the short layer's own.
    """
    return any(layer.size > offset for layer in nodes(short))


async def is_allocated(layer: NodeView, offset: int, length: int) -> tuple[bool, int]:
    """Say whether this one layer determines the range, and for how many bytes the answer holds."""
    if offset >= layer.size:
        return False, length
    status = await layer.block_status(offset, length)
    return status.is_allocated, status.length


async def status_above(top: NodeView, offset: int, length: int) -> BlockStatus:
    """Say what is known of a range of `top`, whichever layer of its chain determines it.

    Args:
        top: The node that is asked.
        offset: First byte, within the node.
        length: Bytes; the answer may be for fewer, never for none.

    Returns:
        What is neither data nor zeroes is there, but could be anything, as in a `null-co` node.
    """
    status = BlockStatus(length, is_data=False, is_zero=True, is_allocated=False)
    for layer in nodes(top):
        if layer.driver.is_filter:
            continue
        if offset >= layer.size:
            return BlockStatus(status.length, is_data=False, is_zero=True, is_allocated=False)
        status = await layer.block_status(offset, status.length)
        if status.is_allocated or status.is_zero:
            break
    return status


def find_backing_image(top: N, name: str) -> N | None:
    """Return the backing node of `top`'s chain that a file name means, or None.

    QEMU: a name means the backing file that an overlay stores under it, be it by another path to the
    same file; a name with a protocol, and what backs an overlay against what it stores, are compared
    by the letter.
    """
    overlay = skip_filters(top)
    while (backing := overlay.backing) is not None:
        if _is_meant(overlay, skip_filters(backing), name):
            return backing
        overlay = skip_filters(backing)
    return None


def _is_meant(overlay: NodeView, backing: NodeView, name: str) -> bool:
    stored = overlay.backing_filename
    if stored is None or filenames.backing_overridden(overlay):
        return name == filenames.filename_of(backing)
    if name == stored:
        return True
    own = filenames.image_filename_of(overlay)
    if own is None or filenames.has_protocol(name) or filenames.has_protocol(stored):
        return name == filenames.filename_of(backing) and filenames.has_protocol(name)
    full_names = (filenames.full_backing_filename(own, each) for each in (name, stored))
    return len({os.path.realpath(each) for each in full_names}) == 1
