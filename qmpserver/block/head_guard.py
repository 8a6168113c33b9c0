"""Keep an image that was guessed to be raw from beginning like an image of another format.

Whoever uses the image could otherwise write a header there, which names any file of the host's as a backing
file, and find it when the image is guessed at the next time.

QEMU: the raw driver does this, and asks for whole sectors so that it sees all of the first one; here what
the sector would hold is put together, so that requests may have any size.
"""

import errno
import os
from collections.abc import Callable

from qmpserver.block import reading, writing
from qmpserver.block.view import NodeView
from qmpserver.lock import Lock
from qmpserver.zeroes import zero_view

GUARDED = 512
"""Bytes at the beginning of an image that are looked at."""

Recognise = Callable[[bytes, str], str]
"""Returns the format that an image beginning with these bytes, in a file of this name, is taken for."""


class HeadGuard:
    """Lets through to the beginning of a node only what leaves it the format that it was guessed to have.

    Args:
        recognise: How formats are guessed.
    """

    def __init__(self, recognise: Recognise) -> None:
        self._recognise = recognise
        self._turn = Lock()

    async def write(self, node: NodeView, offset: int, data: memoryview, flags: int) -> None:
        """Store `data` in `node` as :func:`~qmpserver.block.writing.write` does, one request after the other.

        Raises:
            OSError: EPERM when the node would be taken for another format; it is unchanged.
        """
        async with self._turn:
            await self._check(node, offset, data)
            await writing.write(node, offset, data, flags)

    async def write_zeroes(self, node: NodeView, offset: int, length: int, flags: int) -> None:
        """Make a range zero as :func:`~qmpserver.block.writing.write_zeroes` does; see :meth:`write`."""
        async with self._turn:
            await self._check(node, offset, zero_view(min(length, GUARDED)))
            await writing.write_zeroes(node, offset, length, flags)

    async def discard(self, node: NodeView, offset: int, length: int) -> None:
        """Discard a range, which may read as zeroes then; see :meth:`write`."""
        async with self._turn:
            await self._check(node, offset, zero_view(min(length, GUARDED)))
            await writing.discard(node, offset, length)

    async def _check(self, node: NodeView, offset: int, data: memoryview) -> None:
        head = memoryview(bytearray(GUARDED))
        if offset or len(data) < GUARDED:
            await reading.read(node, 0, head, 0)
        part = data[: GUARDED - offset]
        head[offset : offset + len(part)] = part
        if self._recognise(bytes(head), "") != node.driver.format_name:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
