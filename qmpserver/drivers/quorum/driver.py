"""The quorum driver: what the engine sees of this package.

Options: `children`, `vote-threshold`, `blkverify`, `rewrite-corrupted`, `read-pattern`.
"""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Self

from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import ChildRole, Permission, PermissionSet
from qmpserver.driver_api.status import BlockStatus
from qmpserver.drivers.filter import merged_limits
from qmpserver.drivers.quorum.reports import Reports
from qmpserver.drivers.quorum.voting import votes
from qmpserver.errors import QMPError
from qmpserver.log import get_logger

MAX_CHILDREN = (1 << 31) - 1

_SHARED = Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED

_log = get_logger("block")


def _io_error() -> OSError:
    return OSError(errno.EIO, os.strerror(errno.EIO))


class QuorumDriver(BlockDriver):
    """Several children, one of which any may fail.

    Args:
        children: The children by the names of their edges.
        options: The driver's options.
        reports: Tells clients what is wrong.
    """

    format_name: ClassVar[str] = "quorum"
    outlives_any_child: ClassVar[bool] = True
    child_specs: ClassVar[tuple[ChildSpec, ...]] = (ChildSpec("children", ChildRole.DATA, is_list=True),)
    strong_options: ClassVar[tuple[str, ...]] = (
        "vote-threshold",
        "blkverify",
        "rewrite-corrupted",
        "read-pattern",
    )

    def __init__(self, children: dict[str, BlockChild], options: dict[str, Any], reports: Reports) -> None:
        self._children = children
        self._threshold: int = options["vote-threshold"]
        self._is_fifo = options.get("read-pattern", "quorum") == "fifo"
        self._stops_at_mismatch = not self._is_fifo and options.get("blkverify", False)
        self._rewrites = not self._is_fifo and options.get("rewrite-corrupted", False)
        self._next_index = len(children)
        self._reports = reports

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the driver.

        Raises:
            QMPError: The options contradict each other, or the children are not of one size.
        """
        children, options = context.children_of("children"), dict(context.options)
        _check_options(options, len(children))
        if len({child.size for child in children.values()}) > 1:
            raise QMPError("Could not refresh total sector count: Input/output error")
        return cls(children, options, Reports(context.node_name, context.surroundings.emit))

    def child_permissions(self, child: str, used: Permission, shared: Permission) -> PermissionSet | None:
        """Nobody else may change one child alone; we may, to put it right."""
        return PermissionSet(
            used | Permission.WRITE if self._rewrites else used,
            (shared & _SHARED) | Permission.WRITE_UNCHANGED,
        )

    @property
    def size(self) -> int:
        """The size of the children, which all have the same."""
        return next(iter(self._children.values())).size

    @property
    def limits(self) -> Limits:
        """What all children need."""
        return merged_limits(*self._children.values())

    def image_info(self) -> dict[str, Any]:
        """Return nothing: there is more than one image."""
        return {}

    # Reading

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Fill `into` with what enough children hold, or in FIFO order with what the first one holds."""
        # A prefetch reads nothing, so that there would be nothing to vote on.
        flags &= ~(request_flags.PREFETCH | request_flags.COPY_ON_READ)
        if self._is_fifo:
            await self._read_first(offset, into, flags)
        else:
            await self._read_all(offset, into, flags)

    async def _read_first(self, offset: int, into: memoryview, flags: int) -> None:
        error = _io_error()
        for child in tuple(self._children.values()):
            try:
                await child.pread(offset, into, flags)
                return
            except OSError as caught:
                self._reports.bad("read", child, offset, len(into), caught)
                error = caught
        raise error

    async def _read_all(self, offset: int, into: memoryview, flags: int) -> None:
        children = tuple(self._children.values())
        buffers = {child: memoryview(bytearray(len(into))) for child in children}
        succeeded = await self._on_all(
            "read", offset, len(into), lambda child: child.pread(offset, buffers[child], flags)
        )
        first, *others = (buffers[child] for child in succeeded)
        if all(first == other for other in others):
            into[:] = first
            return
        await self._vote({child: bytes(buffers[child]) for child in succeeded}, offset, into)

    async def _vote(self, said: dict[BlockChild, bytes], offset: int, into: memoryview) -> None:
        """Fill `into` with what most children hold, and report the others."""
        if self._stops_at_mismatch:
            # QEMU: says so on its standard error and ends.
            _log.error("contents mismatch", offset=offset, length=len(into))
            raise _io_error()
        (winner, voters), *outvoted = votes(said)
        if len(voters) < self._threshold:
            self._reports.failure(offset, len(into))
            raise _io_error()
        bad = [child for _, losers in outvoted for child in losers]
        for child in bad:
            self._reports.bad("read", child, offset, len(into), None)
        if self._rewrites:
            # Whether that can be done changes nothing for the reader.
            await asyncio.gather(
                *(child.pwrite(offset, memoryview(winner)) for child in bad), return_exceptions=True
            )
        into[:] = winner

    # Writing

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Store `data` in all children."""
        await self._on_all("write", offset, len(data), lambda child: child.pwrite(offset, data, flags))

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Make the range of all children zero."""
        await self._on_all("write", offset, length, lambda child: child.pwrite_zeroes(offset, length, flags))

    async def flush(self) -> None:
        """Flush all children."""
        await self._on_all("flush", 0, 0, lambda child: child.flush())

    async def _on_all(
        self, kind: str, offset: int, length: int, request: Callable[[BlockChild], Awaitable[None]]
    ) -> list[BlockChild]:
        """Carry out a request on all children, and return those where it succeeded.

        Raises:
            OSError: On too few of them; what most of the others say.
        """
        children = tuple(self._children.values())
        outcomes = await asyncio.gather(*(request(child) for child in children), return_exceptions=True)
        succeeded: list[BlockChild] = []
        failed: dict[BlockChild, int] = {}
        for child, outcome in zip(children, outcomes, strict=True):
            if isinstance(outcome, OSError):
                self._reports.bad(kind, child, offset, length, outcome)
                failed[child] = outcome.errno or errno.EIO
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                succeeded.append(child)
        if len(succeeded) < self._threshold:
            if kind != "flush":
                self._reports.failure(offset, length)
            code = votes(failed)[0][0]
            raise OSError(code, os.strerror(code))
        return succeeded

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Call a range zero only if all children do."""
        zero_length, data_length = length, 0
        for child in tuple(self._children.values()):
            try:
                status = await child.block_status(offset, length)
            except OSError as error:
                self._reports.bad("read", child, offset, length, error)
                return BlockStatus(length, is_data=True, is_zero=False, is_allocated=True)
            if status.is_zero:
                zero_length = min(zero_length, status.length)
            else:
                data_length = max(data_length, status.length)
        if data_length:
            return BlockStatus(data_length, is_data=True, is_zero=False, is_allocated=True)
        return BlockStatus(zero_length, is_data=False, is_zero=True, is_allocated=True)

    # Children that come and go

    def next_child(self) -> ChildSpec:
        """Say what one more child would be called.

        Raises:
            QMPError: There are too many, or there must be exactly two.
        """
        if self._stops_at_mismatch:
            raise QMPError("Cannot add a child to a quorum in blkverify mode")
        if self._next_index >= MAX_CHILDREN:
            raise QMPError("Too many children")
        return ChildSpec(f"children.{self._next_index}", ChildRole.DATA)

    def child_added(self, name: str, child: BlockChild) -> None:
        """Use the child as well."""
        self._children[name] = child
        self._next_index += 1

    def check_removable(self, name: str) -> None:
        """Refuse to have fewer children than must agree.

        Raises:
            QMPError: There are no more than that.
        """
        if len(self._children) <= self._threshold:
            raise QMPError(
                f"The number of children cannot be lower than the vote threshold {self._threshold}"
            )

    def child_removed(self, name: str) -> None:
        """Go on without the child."""
        del self._children[name]
        if name == f"children.{self._next_index - 1}":
            self._next_index -= 1


def _check_options(options: dict[str, Any], count: int) -> None:
    """Refuse options that contradict each other; the texts are QEMU's.

    Raises:
        QMPError: They do.
    """
    threshold = options["vote-threshold"]
    if not count:
        raise QMPError("Number of provided children must be 1 or more")
    if threshold < 1:
        raise QMPError("Parameter 'vote-threshold' expects a value >= 1")
    if threshold > count:
        raise QMPError("threshold may not exceed children count")
    if options.get("read-pattern", "quorum") == "fifo":
        return
    if options.get("blkverify", False):
        if count != 2 or threshold != 2:
            raise QMPError(
                "blkverify=on can only be set if there are exactly two files and vote-threshold is 2"
            )
        if options.get("rewrite-corrupted", False):
            raise QMPError("rewrite-corrupted=on cannot be used with blkverify=on")
