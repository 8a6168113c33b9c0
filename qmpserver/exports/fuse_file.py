"""Carry out what is asked of a node that is shown as a file."""

import errno
import os
import stat
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from qmpserver.block import chain
from qmpserver.block.backend import BlockBackend
from qmpserver.block.draining import run_drained
from qmpserver.block.graph import Graph
from qmpserver.block.info import allocated_sizes
from qmpserver.clock import Clock
from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.errors import QMPError
from qmpserver.lock import Lock

KEEP_SIZE: Final = 0x01
PUNCH_HOLE: Final = 0x02
ZERO_RANGE: Final = 0x10
"""Modes of ``fallocate``, as ``linux/falloc.h`` has them."""

UNCHANGED: Final = -1
"""Stands for an owner or a group that stays as it is."""


T = TypeVar("T")


class Serve(Protocol):
    """Carries out a request on the event loop."""

    async def __call__(self, request: Coroutine[Any, Any, T]) -> T:
        """Return the request's result.

        Raises:
            OSError: It failed.
        """


@dataclass(slots=True)
class Owner:
    """Whom the file belongs to, and who may do what.

    Attributes:
        mode: The permission bits.
        uid: The owner.
        gid: The group.
    """

    mode: int
    uid: int
    gid: int


class FuseFile:
    """A node as a file.  Refusals are OSErrors with the numbers that QEMU answers with.

    Args:
        backend: The node's user.
        graph: The graph the node is in.
        clock: What tells the file's time.
        writable: It may be written.
        growable: A write past its end makes it larger.
        writethrough: What is written is on stable storage at once.

    Attributes:
        owner: Whom it belongs to.
        is_private: Nobody but its owner can be let in.
    """

    def __init__(
        self,
        backend: BlockBackend,
        graph: Graph,
        clock: Clock,
        *,
        writable: bool,
        growable: bool,
        writethrough: bool = False,
    ) -> None:
        self._backend = backend
        self._graph = graph
        self._clock = clock
        self._writable = writable
        self._growable = growable
        self._write_flags = request_flags.FUA if writethrough else 0
        self.is_private = False
        self.owner = Owner(0o600 if writable else 0o400, os.getuid(), os.getgid())
        self._resizing = Lock()

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return self._backend.node.size

    async def attributes(self) -> dict[str, int]:
        """Return what ``stat`` shows; its times are the present."""
        node = self._backend.node
        return self.attributes_at_once((await allocated_sizes([node])).get(node.node_name))

    def attributes_at_once(self, allocated: int | None = None) -> dict[str, int]:
        """Return the same without waiting for anything; any thread may ask.

        Args:
            allocated: Bytes that the node occupies on the host; its size when nobody knows.
        """
        node = self._backend.node
        size = node.size
        now_s = self._clock.realtime_us() // 1_000_000
        times = dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), now_s * 1_000_000_000)
        return {
            "st_mode": stat.S_IFREG | self.owner.mode,
            "st_nlink": 1,
            "st_uid": self.owner.uid,
            "st_gid": self.owner.gid,
            "st_size": size,
            "st_blocks": -(-(size if allocated is None else allocated) // 512),
            "st_blksize": node.driver.limits.request_alignment,
            **times,
        }

    async def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset` on, as many as there are up to `length`."""
        into = bytearray(max(min(length, self.size - offset), 0))
        if into:
            await self._backend.pread(offset, memoryview(into))
        return bytes(into)

    async def write(self, offset: int, data: bytes) -> int:
        """Store `data`; return how many bytes of it there was room for."""
        self._check_writable()
        end = offset + len(data)
        if end > self.size and self._growable:
            await self._resize(lambda: end if end > self.size else None)
        length = max(min(len(data), self.size - offset), 0)
        if length:
            await self._backend.pwrite(offset, memoryview(data)[:length], self._write_flags)
        return length

    async def truncate(self, size: int) -> None:
        """Set the size in bytes, whether or not the file is growable."""
        self._check_writable()
        await self._resize(lambda: size)

    async def empty(self) -> None:
        """Do what opening a file does that is to be emptied: one that is not growable keeps its size."""
        if self._growable:
            await self.truncate(0)

    async def allocate(self, mode: int, offset: int, length: int) -> None:
        """Carry out ``fallocate``: punch a hole, make a range zero, or make the file larger."""
        self._check_writable()
        if not mode:
            if offset < self.size:
                raise _refused(errno.EOPNOTSUPP)
            await self._resize(lambda: offset + length, Preallocation.FALLOC)
            return
        flags, keeps_size = _ZEROING.get(mode, (0, None))
        if keeps_size is None:
            raise _refused(errno.EOPNOTSUPP)
        if not keeps_size and offset + length > self.size:
            await self._resize(lambda: max(offset + length, self.size))
        if offset >= self.size:
            raise _refused(errno.EIO)
        await self._backend.pwrite_zeroes(offset, min(length, self.size - offset), flags | self._write_flags)

    async def flush(self) -> None:
        """Bring everything written so far to stable storage."""
        await self._backend.flush()

    async def seek(self, offset: int, whence: int) -> int:
        """Return where the next data, or the next hole, is.

        Raises:
            OSError: ENXIO when there is none.
        """
        size = self.size
        if not 0 <= offset <= size or whence not in (os.SEEK_DATA, os.SEEK_HOLE):
            raise _refused(errno.ENXIO if offset >= 0 else errno.EINVAL)
        while offset < size:
            status = await chain.status_above(self._backend.node, offset, size - offset)
            if not status.length or status.is_data == (whence == os.SEEK_DATA):
                break
            offset += status.length
        if whence == os.SEEK_DATA and offset >= size:
            raise _refused(errno.ENXIO)
        return min(offset, size)

    def change_mode(self, mode: int) -> None:
        """Set the permission bits."""
        bits = stat.S_IMODE(mode)
        if self.is_private and bits & (stat.S_IRWXG | stat.S_IRWXO):
            raise _refused(errno.EPERM)
        self.owner.mode = bits

    def change_owner(self, uid: int, gid: int) -> None:
        """Set owner and group."""
        if self.is_private:
            raise _refused(errno.EOPNOTSUPP)
        self.owner.uid = self.owner.uid if uid == UNCHANGED else uid
        self.owner.gid = self.owner.gid if gid == UNCHANGED else gid

    def _check_writable(self) -> None:
        if not self._writable:
            raise _refused(errno.EACCES)

    async def _resize(
        self, wanted: Callable[[], int | None], preallocation: Preallocation = Preallocation.OFF
    ) -> None:
        """Set the size that is wanted once nobody else changes it; None for none."""
        async with self._resizing, self._graph.lock:
            size = wanted()
            if size is None or size == self.size:
                return
            node = self._backend.node
            user = BlockBackend(self._graph)
            try:
                await user.insert(node, PermissionSet(Permission.RESIZE, PERM_ALL))
            except QMPError as error:
                raise OSError(errno.EPERM, error.description) from error
            try:
                await run_drained((node,), partial(node.truncate, size, preallocation))
            except QMPError as error:
                raise OSError(errno.EOPNOTSUPP, error.description) from error
            finally:
                await user.remove()


_ZEROING: Final = {
    PUNCH_HOLE | KEEP_SIZE: (request_flags.MAY_UNMAP | request_flags.NO_FALLBACK, True),
    ZERO_RANGE: (0, False),
    ZERO_RANGE | KEEP_SIZE: (0, True),
}
"""The modes that make a range read as zeroes, and whether the file's size then stays as it is."""


def _refused(number: int) -> OSError:
    return OSError(number, os.strerror(number))
