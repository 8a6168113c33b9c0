"""Put an overlay over a node, so that what the node holds is kept from then on.

The steps are those of a transaction's action: `prepare` does all that can fail, `commit` makes it stand,
`abort` takes it back, and `clean` ends it either way.  The graph is locked from the first to the last.

A server that dies at any instant leaves the old chain, or the new one with an overlay that holds nothing yet:
the image of a new overlay is on stable storage before anybody uses it, and the images below are not written.
"""

import contextlib
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from qmpserver.block import activation, filenames, reopening
from qmpserver.block.graph import Graph, check_no_overlay, check_not_busy
from qmpserver.block.node import Edge, Node
from qmpserver.block.opener import Opener
from qmpserver.block.permissions import topological
from qmpserver.driver_api.permissions import ChildRole, Permission
from qmpserver.errors import NodeInUse, QMPError, error_text
from qmpserver.transaction import TransactionAction

CreateImage = Callable[[str, str, dict[str, Any]], Awaitable[None]]
"""Makes a new image, given file, format and options.  The graph is locked."""


class ExternalSnapshot(TransactionAction):
    """One overlay being put over one node.

    Args:
        graph: The graph of both.
        node: The node.
    """

    def __init__(self, graph: Graph, node: Node) -> None:
        self._graph = graph
        self._node = node
        self._overlay: Node | None = None
        self._moved: list[Edge] = []
        self._is_in_place = False
        self._was_active = False
        self._still = contextlib.AsyncExitStack()

    @abstractmethod
    async def _find_overlay(self) -> Node:
        """Return the overlay, opened or found."""

    async def prepare(self) -> None:
        """Put the overlay in place.

        Raises:
            QMPError: It cannot be had, or not be put there; nothing has changed.
        """
        node = self._node
        check_not_busy(node)
        check_no_overlay(node)
        try:
            await node.flush()
        except OSError as error:
            raise QMPError("A flush error has occurred") from error
        self._overlay = overlay = await self._find_overlay()
        _check_overlay(overlay)
        self._graph.check_acyclic(overlay, "backing", node)
        if not node.is_active and overlay.is_active:
            # QEMU: an inactive node cannot back an active one, so the overlay becomes as the node.
            await activation.inactivate(self._graph, overlay)
            self._was_active = True
        await self._still.enter_async_context(node.drained())
        await self._append(node, overlay)

    async def _append(self, node: Node, overlay: Node) -> None:
        own = set(topological((overlay,)))
        self._is_in_place = True
        try:
            for edge in [edge for edge in node.parents if edge.parent not in own]:
                self._graph.lead(edge, overlay)
                self._moved.append(edge)
            self._graph.attach(overlay, "backing", node, ChildRole.COW)
            await self._graph.refresh(overlay)
        except BaseException:
            await self._take_back()
            raise

    async def commit(self) -> None:
        """Let the node be read-only, as a backing node should; one that cannot be stays as it is."""
        if not self._node.read_only:
            with contextlib.suppress(QMPError):
                await reopening.set_read_only(self._graph, self._node, read_only=True)

    async def abort(self) -> None:
        """Take the overlay away again."""
        if self._is_in_place:
            await self._take_back()
        if self._was_active and self._overlay is not None:
            await activation.activate(self._graph, self._overlay)

    async def _take_back(self) -> None:
        assert self._overlay is not None
        self._is_in_place = False
        backing = self._overlay.children.get("backing")
        if backing is not None:
            self._graph.detach(backing)
        for edge in reversed(self._moved):
            self._graph.lead(edge, self._node)
        self._moved.clear()
        await self._graph.loosen(self._overlay, self._node)

    async def clean(self) -> None:
        """Let requests go on, and close an overlay that nobody uses."""
        await self._still.aclose()
        if self._overlay is not None:
            await self._graph.discard(self._overlay)


def _check_overlay(overlay: Node) -> None:
    used, _ = overlay.cumulative_permissions()
    if used & Permission.CONSISTENT_READ:
        raise NodeInUse("The overlay is already in use")
    if overlay.backing is not None:
        raise QMPError("The overlay already has a backing image")
    if not overlay.driver.supports_backing:
        raise QMPError("The overlay does not support backing images")


class SnapshotByNode(ExternalSnapshot):
    """A snapshot whose overlay is a node already.

    Args:
        graph: The graph of both.
        node: The node.
        overlay: The overlay's name.
    """

    def __init__(self, graph: Graph, node: Node, overlay: str) -> None:
        super().__init__(graph, node)
        self._overlay_name = overlay

    async def _find_overlay(self) -> Node:
        return self._graph.find(self._overlay_name)


@dataclass(frozen=True, slots=True)
class NewOverlay:
    """The image that is to become an overlay.

    Attributes:
        filename: Its file.
        image_format: Its format.
        node_name: What to call its node, or None to leave that to the graph.
        is_existing: It is there already.
        needs_name: Its node has to be given a name.
    """

    filename: str
    image_format: str
    node_name: str | None
    is_existing: bool
    needs_name: bool


class SnapshotByFile(ExternalSnapshot):
    """A snapshot whose overlay is an image to be opened, and made before unless it exists.

    Args:
        graph: The graph of both.
        node: The node.
        opener: Opens the overlay.
        create_image: Makes it.
        wanted: What it is to be.
    """

    def __init__(
        self, graph: Graph, node: Node, opener: Opener, create_image: CreateImage, wanted: NewOverlay
    ) -> None:
        super().__init__(graph, node)
        self._opener = opener
        self._create_image = create_image
        self._wanted = wanted

    async def _find_overlay(self) -> Node:
        wanted = self._wanted
        self._check_name(wanted)
        file = filenames.protocol_options(wanted.filename)
        if not wanted.is_existing:
            await self._create(wanted, file.get("filename", wanted.filename))
        flags = self._node.flags.but(force_share=False, detect_zeroes="off")
        options = {"driver": wanted.image_format, "file": file}
        if wanted.node_name is not None:
            options["node-name"] = wanted.node_name
        return await self._opener.open_overlay(options, flags)

    def _check_name(self, wanted: NewOverlay) -> None:
        if wanted.node_name is None:
            if wanted.needs_name:
                raise QMPError("New overlay node-name missing")
            return
        if self._graph.get(wanted.node_name) is not None:
            raise QMPError("New overlay node-name already in use")
        self._graph.check_new_name(wanted.node_name)

    async def _create(self, wanted: NewOverlay, path: str) -> None:
        node = self._node
        name = filenames.relative_to_store(wanted.filename, filenames.filename_of(node))
        backing = {"backing-file": name, "backing-fmt": node.driver.format_name}
        try:
            await self._create_image(path, wanted.image_format, {"size": node.size, **backing})
        except OSError as error:
            raise QMPError(f"Could not create '{wanted.filename}': {error_text(error)}") from error
