"""Offer a node as a file."""

import asyncio
import enum
import errno
import os
import stat
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, TypeVar

from qmpserver import threads
from qmpserver.block.graph import Graph
from qmpserver.clock import Clock
from qmpserver.driver_api.permissions import Permission
from qmpserver.errors import QMPError, error_text
from qmpserver.exports.export import BlockExport
from qmpserver.exports.fuse_file import FuseFile, Serve
from qmpserver.log import get_logger

T = TypeVar("T")

_FAREWELL_S: Final = 1.0
"""How long the end waits for those who keep the file open, where they cannot be parted with."""

_log = get_logger("fuse")


class Mount(Protocol):
    """A file that the kernel shows; see :mod:`qmpserver.exports.fuse_mount`."""

    ended: "asyncio.Future[None]"

    async def mount(self) -> None:
        """Show the file."""

    def unmount(self) -> None:
        """Show it no more.  Blocks for a moment."""


MakeMount = Callable[[str, FuseFile, Serve, dict[str, Any]], Mount]


class AllowOther(enum.Enum):
    """Whether others than the server's own user may open the file."""

    OFF = "off"
    ON = "on"
    AUTO = "auto"
    """If that can be had."""


@dataclass(frozen=True, slots=True)
class FuseOptions:
    """How a node is shown.

    Attributes:
        mountpoint: The absolute name of the file that is covered.
        writable: It may be written.
        growable: A write past its end makes the node larger.
        allow_other: Whether other users may open it.
        writethrough: What is written is on stable storage at once.
        allows_inactive: The node may be inactive: it is read then, and writing fails.
    """

    mountpoint: str
    writable: bool = False
    growable: bool = False
    allow_other: AllowOther = AllowOther.AUTO
    writethrough: bool = False
    allows_inactive: bool = False


def check_mountpoint(mountpoint: str, taken: Collection[str]) -> str:
    """Return the absolute name of a file that can be covered.  Blocks.

    Args:
        mountpoint: The file's name.
        taken: The absolute names of those that are covered already.

    Raises:
        QMPError: It cannot be covered.
    """
    place = os.path.realpath(mountpoint)
    if place in taken:
        raise QMPError(f"There already is a FUSE export on '{mountpoint}'", code="exists")
    try:
        is_file = stat.S_ISREG(os.stat(place).st_mode)
    except OSError as error:
        raise QMPError(f"Failed to stat '{mountpoint}': {error_text(error)}") from error
    if not is_file:
        raise QMPError(f"'{mountpoint}' is not a regular file")
    return place


class FuseExport(BlockExport):
    """A node offered as a file.

    Args:
        export_id: What it is called in QMP.
        graph: The graph the node is in.
        clock: What tells the file's time.
        options: How it is shown.

    Attributes:
        options: As given.
        on_unmounted: Called when somebody else has unmounted it.
    """

    export_type: ClassVar[str] = "fuse"

    def __init__(self, export_id: str, graph: Graph, clock: Clock, options: FuseOptions) -> None:
        super().__init__(
            export_id,
            graph,
            writable=options.writable,
            writethrough=options.writethrough,
            allows_inactive=options.allows_inactive,
        )
        if options.growable:
            self.used |= Permission.RESIZE
        self.options = options
        self.on_unmounted: Callable[[], object] = lambda: None
        self._file = FuseFile(
            self.backend,
            graph,
            clock,
            writable=options.writable,
            growable=options.growable,
            writethrough=options.writethrough,
        )
        self._in_flight: set[asyncio.Task[Any]] = set()
        self._mount: Mount | None = None

    async def mount(self) -> None:
        """Show the file.

        Raises:
            QMPError: It cannot be done, or what it takes is not installed.
        """
        make = await threads.run(_load_library)
        first, *others = _WISHES[self.options.allow_other]
        try:
            await self._mount_as(make, allows_other=first)
        except QMPError:
            if not others:
                raise
            await self._mount_as(make, allows_other=False)

    async def _mount_as(self, make: MakeMount, *, allows_other: bool) -> None:
        options = {"allow_other": allows_other, "ro": not self.writable}
        mount = make(self.options.mountpoint, self._file, self._serve, options)
        await mount.mount()
        self._mount = mount
        self._file.is_private = not allows_other
        mount.ended.add_done_callback(self._on_unmounted)

    def _on_unmounted(self, _: object) -> None:
        if not self.is_shutting_down:
            self.on_unmounted()

    async def _serve(self, request: Coroutine[Any, Any, T]) -> T:
        """Carry out what a user of the file asks for.

        Raises:
            OSError: It failed.
        """
        task = asyncio.current_task()
        assert task is not None
        self._in_flight.add(task)
        try:
            if self.is_shutting_down:
                request.close()
                raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
            return await request
        except OSError:
            raise
        except Exception as error:
            _log.error("fuse request failed", exc_info=error)
            raise OSError(errno.EIO, os.strerror(errno.EIO)) from error
        finally:
            self._in_flight.discard(task)

    async def shut_down(self) -> None:
        """Show the file no more, and let what was asked for last end."""
        mount = self._mount
        if mount is None:
            return
        if not mount.ended.done():
            await threads.run(mount.unmount)
        if self._in_flight:
            await asyncio.wait(tuple(self._in_flight))
        await asyncio.wait([mount.ended], timeout=_FAREWELL_S)


_WISHES: Final = {AllowOther.ON: (True,), AllowOther.OFF: (False,), AllowOther.AUTO: (True, False)}
"""What is tried, one after the other."""


def _load_library() -> MakeMount:
    try:
        from qmpserver.exports.fuse_mount import FuseMount  # noqa: PLC0415 - not every installation has it
    except ImportError as error:
        raise QMPError("FUSE exports need the package 'mfusepy' (install 'qmpserver[fuse]')") from error
    except OSError as error:
        raise QMPError("FUSE exports need the library libfuse (Debian: libfuse3-3)") from error
    return FuseMount
