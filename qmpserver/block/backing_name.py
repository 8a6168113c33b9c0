"""Change what an open image names as its backing file, and nothing else."""

import errno
import os
from functools import partial

from qmpserver.block import chain, reopening
from qmpserver.block.draining import run_drained
from qmpserver.block.graph import Graph, check_not_busy
from qmpserver.block.node import Node
from qmpserver.driver_api.extras import SupportsBackingFile
from qmpserver.errors import QMPError, error_text


def is_root(node: Node) -> bool:
    """Say whether no other node is above."""
    return not any(isinstance(edge.parent, Node) for edge in node.parents)


async def change(graph: Graph, top: Node, image: Node, filename: str) -> None:
    """Store `filename`, or nothing when it is empty, in an image of `top`'s chain.  The graph is locked.

    The image is made writable for as long as it takes.

    Raises:
        QMPError: It has no backing node, is not in the chain, or cannot be written; it is unchanged.
    """
    backing = chain.skip_filters(image).backing
    if backing is None:
        raise QMPError("not allowing backing file change on an image without a backing file")
    if not chain.contains(top, image):
        raise QMPError(f"'{top.node_name}' and image file are not in the same chain")
    check_not_busy(top)
    if not image.is_active:
        # QEMU: 11.1 ends here.
        raise QMPError(f"Node '{image.node_name}' is inactive")
    was_read_only = image.read_only
    if was_read_only:
        await reopening.set_read_only(graph, image, read_only=False)
    try:
        await run_drained((image,), partial(_store, image, backing, filename))
    finally:
        if was_read_only:
            await reopening.set_read_only(graph, image, read_only=True)


async def _store(image: Node, backing: Node, filename: str) -> None:
    driver = image.driver
    if not isinstance(driver, SupportsBackingFile):
        raise QMPError(f"Could not change backing file to '{filename}': {os.strerror(errno.ENOTSUP)}")
    # QEMU: it stores the format of the image itself, whatever that of the backing file is.
    backing_format = chain.skip_filters(backing).driver.format_name if filename else None
    try:
        await driver.change_backing_file(filename or None, backing_format)
    except OSError as error:
        raise QMPError(f"Could not change backing file to '{filename}': {error_text(error)}") from error
    image.set_backing_filename(filename or None)
