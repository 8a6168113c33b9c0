"""Say what the engine's parts may know of a node, so that they need not know the node itself.

A node takes requests and hands them to :mod:`reading`, :mod:`writing`, :mod:`chain` and the like;
these see it as a :class:`NodeView`, and so stand below it.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, Self

from qmpserver.block.gate import Gate
from qmpserver.block.gathering import Gathering
from qmpserver.block.requests import TrackedRequests
from qmpserver.driver_api.debug_events import DebugHook
from qmpserver.driver_api.driver import BlockDriver, MappingDriver
from qmpserver.driver_api.status import BlockStatus
from qmpserver.errors import QMPError

if TYPE_CHECKING:  # few nodes have one
    from qmpserver.block.dirty_bitmap import DirtyBitmap
    from qmpserver.block.write_threshold import WriteThreshold


class NodeFlags:
    """How a node was asked to be opened: the options that every driver has in common.

    It is no dataclass, since a short run of a tool would wait for that module.

    Attributes:
        no_io: Nothing is read of its content: QEMU's ``BDRV_O_NO_IO``.  No option sets it, only a tool that opens.
    """

    __slots__ = (
        "active",
        "auto_read_only",
        "detect_zeroes",
        "direct",
        "discard",
        "force_share",
        "no_flush",
        "no_io",
        "read_only",
    )

    def __init__(
        self,
        *,
        read_only: bool = False,
        auto_read_only: bool = False,
        direct: bool = False,
        no_flush: bool = False,
        discard: bool = False,
        force_share: bool = False,
        detect_zeroes: str = "off",
        active: bool = True,
        no_io: bool = False,
    ) -> None:
        self.read_only = read_only
        self.auto_read_only = auto_read_only
        self.direct = direct
        self.no_flush = no_flush
        self.discard = discard
        self.force_share = force_share
        self.detect_zeroes = detect_zeroes
        self.active = active
        self.no_io = no_io

    def but(self, **changes: Any) -> Self:
        """Return the same flags but for some."""
        return type(self)(**{name: getattr(self, name) for name in self.__slots__} | changes)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], inherited: "NodeFlags") -> Self:
        """Return a node's flags: what its options say, and for the rest what it inherits.

        Raises:
            QMPError: Two options contradict each other.
        """
        cache = options.get("cache", {})
        discard = options.get("discard")
        flags = cls(
            read_only=options.get("read-only", inherited.read_only),
            auto_read_only=options.get("auto-read-only", inherited.auto_read_only),
            direct=cache.get("direct", inherited.direct),
            no_flush=cache.get("no-flush", inherited.no_flush),
            discard=inherited.discard if discard is None else discard == "unmap",
            force_share=options.get("force-share", inherited.force_share),
            detect_zeroes=options.get("detect-zeroes", "off"),
            active=options.get("active", inherited.active),
            no_io=inherited.no_io,
        )
        if flags.force_share and not flags.read_only:
            raise QMPError("force-share=on can only be used with read-only images")
        flags.check_detect_zeroes()
        return flags

    def become(self, other: "NodeFlags") -> None:
        """Take over what `other` says.  Drivers keep looking at the same flags."""
        for name in self.__slots__:
            setattr(self, name, getattr(other, name))

    def check_detect_zeroes(self) -> None:
        """Refuse a way of detecting zeroes that has no effect.

        Raises:
            QMPError: With QEMU's text.
        """
        if self.detect_zeroes == "unmap" and not self.discard:
            raise QMPError(
                "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap"
            )


class EdgeView(Protocol):
    """A link to a node below."""

    @property
    def node(self) -> "NodeView":
        """Where it leads."""

    @property
    def debug_hook(self) -> DebugHook | None:
        """Who listens to debug events on the node it leads to."""


class NodeView(Protocol):
    """A node as seen from below.  :class:`~qmpserver.block.node.Node` says what its members mean."""

    node_name: str
    driver: BlockDriver
    mapping: MappingDriver | None
    flags: NodeFlags
    options: dict[str, Any]
    requests: TrackedRequests
    gathering: Gathering
    gate: Gate
    write_threshold: "WriteThreshold | None"
    dirty_bitmaps: "list[DirtyBitmap]"
    is_implicit: bool
    backing_filename: str | None
    auto_backing_filename: str | None

    @property
    def children(self) -> Mapping[str, EdgeView]:
        """Links to the nodes it uses, by name."""

    @property
    def size(self) -> int:
        """The size presented, in bytes."""

    @property
    def head_guard(self) -> object | None:
        """What every write to the beginning has to pass, or None."""

    @property
    def backing(self) -> Self | None:
        """The node that supplies what this one lacks."""

    @property
    def filtered(self) -> Self | None:
        """The node whose data this filter presents."""

    @property
    def is_held_still(self) -> bool:
        """Whether new requests have to wait."""

    def in_flight(self) -> AbstractAsyncContextManager[None]:
        """Count as a request of the node's, from when it is not drained."""

    def note_written(self, offset: int, length: int) -> None:
        """Record that the range was written."""

    def note_changed(self, end: int) -> None:
        """Record that bytes up to `end` may have changed in the image, though not what the node presents."""

    async def pread(self, offset: int, into: memoryview, flags: int = 0) -> None:
        """Fill `into` with the bytes at `offset`."""

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Say what the node knows of the range."""
