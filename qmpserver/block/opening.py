"""Stand in for a node in the making: what its driver is shown, and the user of its children till then."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from qmpserver.block import chain
from qmpserver.block.graph import Graph
from qmpserver.block.head_guard import HeadGuard
from qmpserver.block.node import Edge, Node
from qmpserver.block.view import NodeFlags
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.opening import ChildSpec
from qmpserver.driver_api.surroundings import Surroundings

if TYPE_CHECKING:  # few nodes have one
    from qmpserver.block.dirty_bitmap import DirtyBitmap
    from qmpserver.driver_api.point_in_time import PointInTime, PointInTimeOptions

CorruptionListener = Callable[[str, str, int | None, int | None, bool], None]
"""Called with node name, message, host offset, length, and whether the image is lost."""

DuplicateFd = Callable[[int, int], int]
"""Returns a new descriptor from a set that clients have passed, given set and access flags; raises
QMPError when there is no such set, OSError when none of its members has that access."""

OpenNamed = Callable[["Opening", ChildSpec, str], Awaitable[None]]
"""Opens a file that an image names as a child of the node in the making."""


class Opening:
    """A node in the making: what its driver is shown, and until it exists the user of its children.

    Attributes:
        made_later: How many nodes had been made when the first child other than `file` came; QEMU lists those after
            this one.
        head_guard: What is to keep the node's beginning as it was guessed.
    """

    def __init__(
        self,
        node_name: str,
        flags: NodeFlags,
        graph: Graph,
        *,
        on_corruption: CorruptionListener,
        duplicate_fd: DuplicateFd,
        open_named: OpenNamed,
        surroundings: Surroundings,
    ) -> None:
        self.node_name = node_name
        self.options: Mapping[str, Any] = {}
        self.flags = flags
        self.graph = graph
        self.on_corruption = on_corruption
        self.duplicate_fd = duplicate_fd
        self.open_named = open_named
        self.surroundings = surroundings
        self.passes_active = True
        self.edges: dict[str, Edge] = {}
        self.own_children: list[Node] = []
        self.made_later: int | None = None
        self.bitmaps: list[DirtyBitmap] = []
        self.head_guard: HeadGuard | None = None

    @property
    def read_only(self) -> bool:
        """Whether the node will not be written, for good or until it is activated."""
        return self.flags.read_only or not self.flags.active

    @property
    def stays_read_only(self) -> bool:
        """Whether the node will never be written, not even once it is activated."""
        return self.flags.read_only

    @property
    def auto_read_only(self) -> bool:
        """Whether falling back to read-only is wanted rather than an error."""
        return self.flags.auto_read_only

    def fall_back_to_read_only(self) -> None:
        """Make the node read-only, as is wanted when it cannot be written."""
        self.flags = self.flags.but(read_only=True)

    @property
    def no_flush(self) -> bool:
        """Whether flushes need not reach the disk."""
        return self.flags.no_flush

    @property
    def direct(self) -> bool:
        """Whether the host's page cache is to be bypassed."""
        return self.flags.direct

    @property
    def no_io(self) -> bool:
        """Whether the image is only looked at."""
        return self.flags.no_io

    @property
    def discard(self) -> bool:
        """Whether discards are to be passed down."""
        return self.flags.discard

    def child(self, name: str) -> BlockChild | None:
        """Return the opened child of that name, or None when it was not given."""
        return self.edges.get(name)

    def children_of(self, name: str) -> dict[str, BlockChild]:
        """Return the opened children of a list option, by the names of their edges, in order."""
        return {key: edge for key, edge in self.edges.items() if key.startswith(f"{name}.")}

    async def open_child(self, spec: ChildSpec, filename: str) -> BlockChild:
        """Open a plain file that the image itself names, as a child."""
        await self.open_named(self, spec, filename)
        return self.edges[spec.name]

    def keep_point_in_time(self, options: "PointInTimeOptions") -> "PointInTime":
        """Begin to keep what the child `file` holds now, in the child `target`."""
        from qmpserver.block import bitmap_lookup, copy_before_write  # noqa: PLC0415 - one filter wants it

        bitmap = None if options.bitmap is None else bitmap_lookup.find(self.graph, *options.bitmap)[1]
        kept = copy_before_write.keep(
            self.edges["file"], self.edges["target"], options, bitmap, self.surroundings.clock
        )
        self.bitmaps.extend(kept.bitmaps)
        return kept

    def is_in_chain(self, child: str, node_name: str) -> bool | None:
        """Say whether the node of that name is in the child's chain; None when there is none."""
        node = self.graph.get(node_name)
        if node is None:
            return None
        return child in self.edges and chain.contains(self.edges[child].node, node)

    def secret(self, secret_id: str) -> bytes:
        """Return the bytes of the secret object of that id."""
        return self.surroundings.secret(secret_id)

    def report_corruption(self, message: str, offset: int | None, length: int | None, *, fatal: bool) -> None:
        """Tell clients that the image is damaged."""
        self.on_corruption(self.node_name, message, offset, length, fatal)

    def fdset_dup(self, set_id: int, flags: int) -> int:
        """Return a new descriptor for ``/dev/fdset/N``."""
        return self.duplicate_fd(set_id, flags)

    @property
    def name(self) -> str:
        """The node's name, as that of a user of its children."""
        return self.node_name

    def describe(self) -> str:
        """Name the node in a refusal."""
        return f"node '{self.node_name}'"
