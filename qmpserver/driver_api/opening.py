"""Describe what the engine hands a driver that opens an image."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.permissions import ChildRole
from qmpserver.driver_api.surroundings import Surroundings

if TYPE_CHECKING:  # few drivers keep one
    from qmpserver.driver_api.point_in_time import PointInTime, PointInTimeOptions


class ChildSpec(NamedTuple):
    """A child that a driver takes from its options.

    Attributes:
        name: The option and the edge are called so (`file`, `backing`, ...).
        role: What the driver uses it for.
        required: Opening without it is refused.
        is_list: The option is a list of children, whose edges are called ``NAME.0``, ``NAME.1``, ...
    """

    name: str
    role: ChildRole
    required: bool = True
    is_list: bool = False


class ImageContext(Protocol):
    """As much of :class:`OpenContext` as a format needs, so that an image can be opened while it is created."""

    @property
    def node_name(self) -> str:
        """The node's name, for messages."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The driver's own options under their wire names, already checked against the schema."""

    @property
    def read_only(self) -> bool:
        """Whether the node will not be written."""

    @property
    def discard(self) -> bool:
        """Whether discards are to be passed down (``discard=unmap``)."""

    def child(self, name: str) -> BlockChild | None:
        """Return the opened child of that name, or None when it was not given."""

    async def open_child(self, spec: ChildSpec, filename: str) -> BlockChild:
        """Open a plain file that the image itself names, as a child; only while the driver opens.

        Args:
            spec: What the child is to be called and used for.
            filename: The name as the image has it, taken as a path whatever it looks like.

        Raises:
            QMPError: It cannot be opened, or the administrator does not allow it.
        """

    @property
    def no_io(self) -> bool:
        """Whether the image is only looked at: its content is not read, so no key is needed."""

    def secret(self, secret_id: str) -> bytes:
        """Return the bytes of the secret object of that id; only while the driver opens.

        Raises:
            QMPError: There is none.
        """

    def report_corruption(self, message: str, offset: int | None, length: int | None, *, fatal: bool) -> None:
        """Tell clients that the image is damaged (BLOCK_IMAGE_CORRUPTED).

        Args:
            message: What is wrong.
            offset: Host offset of the damaged structure in bytes, where known.
            length: Its length in bytes, where known.
            fatal: The image can no longer be used.
        """


class OpenContext(ImageContext, Protocol):
    """The engine, as seen by a driver while and after it opens."""

    @property
    def stays_read_only(self) -> bool:
        """Whether the node will never be written, not even once it is activated."""

    @property
    def auto_read_only(self) -> bool:
        """Whether falling back to read-only is wanted rather than an error."""

    def fall_back_to_read_only(self) -> None:
        """Make the node read-only, as `auto_read_only` wants it when it cannot be written."""

    @property
    def no_flush(self) -> bool:
        """Whether flushes need not reach the disk (``cache.no-flush``)."""

    @property
    def direct(self) -> bool:
        """Whether the host's page cache is to be bypassed (``cache.direct``)."""

    @property
    def surroundings(self) -> Surroundings:
        """What the server lends its drivers."""

    def children_of(self, name: str) -> dict[str, BlockChild]:
        """Return the opened children of a list option, by the names of their edges, in order."""

    def keep_point_in_time(self, options: "PointInTimeOptions") -> "PointInTime":
        """Begin to keep what the child `file` holds now, in the child `target`.

        Raises:
            QMPError: There is no such bitmap, it does not fit, or the clusters cannot be had.
        """

    def is_in_chain(self, child: str, node_name: str) -> bool | None:
        """Say whether the node of that name is in the chain of the named child, the child included.

        None when there is no node of that name at all.
        """
