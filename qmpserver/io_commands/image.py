"""Hold an open image, and make requests of it."""

import errno
import os
import time
from dataclasses import dataclass
from typing import Protocol

from qmpserver.block.backend import BlockBackend
from qmpserver.block.node import Node
from qmpserver.driver_api.driver import not_supported
from qmpserver.driver_api.extras import SupportsVmState
from qmpserver.driver_api.flags import COPY_ON_READ, FUA
from qmpserver.drivers.blkdebug.driver import BlkdebugDriver


class Requests(Protocol):
    """The way that requests go."""

    async def pread(self, offset: int, into: memoryview, flags: int = 0) -> None:
        """Fill `into` with the bytes at `offset`."""

    async def pwrite(self, offset: int, data: memoryview, flags: int = 0) -> None:
        """Store `data` at `offset`."""

    async def pwrite_zeroes(self, offset: int, length: int, flags: int = 0) -> None:
        """Make the range read as zeroes."""

    async def pdiscard(self, offset: int, length: int) -> None:
        """Say that the range is of no interest."""

    async def flush(self) -> None:
        """Bring everything written so far to stable storage."""


@dataclass(slots=True)
class OpenImage:
    """An image that is open.

    Attributes:
        backend: The handle on it.
        requests: The way that requests to it go, which may be the handle itself.
        writethrough: Each write is on the disk before it is done.
        copy_on_read: What is read from below is stored in the image.
    """

    backend: BlockBackend
    requests: Requests
    writethrough: bool = False
    copy_on_read: bool = False

    @property
    def node(self) -> Node:
        """The node at the top.

        Raises:
            OSError: ENOMEDIUM when there is none.
        """
        if self.backend.root is None:
            raise OSError(errno.ENOMEDIUM, os.strerror(errno.ENOMEDIUM))
        return self.backend.node

    def check(self, offset: int, length: int) -> None:
        """Refuse a range that goes beyond the end, before room is made for what is in it.

        Raises:
            OSError: EIO; ENOMEDIUM when there is none.
        """
        if offset + length > self.node.size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def read(self, offset: int, length: int) -> memoryview:
        """Return the bytes in a range."""
        self.check(offset, length)
        into = memoryview(bytearray(length))
        await self.requests.pread(offset, into, COPY_ON_READ if self.copy_on_read else 0)
        return into

    async def write(self, offset: int, data: memoryview, flags: int) -> None:
        """Store bytes."""
        await self.requests.pwrite(offset, data, flags | self._durable)

    async def write_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Make a range read as zeroes."""
        await self.requests.pwrite_zeroes(offset, length, flags | self._durable)

    @property
    def _durable(self) -> int:
        return FUA if self.writethrough else 0

    @property
    def breakpoints(self) -> BlkdebugDriver | None:
        """The filter next below the top that stops requests, or None."""
        node: Node | None = self.node
        while node is not None and not isinstance(node.driver, BlkdebugDriver):
            node = below(node)
        return node.driver if node is not None and isinstance(node.driver, BlkdebugDriver) else None

    @property
    def vm_state(self) -> SupportsVmState:
        """Where the machine's state is kept: in the first node from the top that has room for it.

        Raises:
            OSError: ENOTSUP when there is none.
        """
        node: Node | None = self.node
        while node is not None:
            if isinstance(node.driver, SupportsVmState):
                return node.driver
            node = below(node)
        raise not_supported()


def below(node: Node) -> Node | None:
    """Return the node that holds most of what this one presents, or None."""
    name = node.driver.filtered_child if node.driver.is_filter else "file"
    edge = node.children.get(name)
    return edge.node if edge is not None else None


class Stopwatch:
    """Measures the time from when it is made."""

    def __init__(self) -> None:
        self._began = time.perf_counter_ns()

    @property
    def elapsed_ns(self) -> int:
        """Nanoseconds so far."""
        return time.perf_counter_ns() - self._began
