"""Make nodes of ``blockdev-add`` options, children and backing chain included."""

import contextlib
import errno
import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from qmpserver.block import bitmap_store, filenames, permissions
from qmpserver.block.graph import Graph, check_active
from qmpserver.block.head_guard import HeadGuard
from qmpserver.block.node import Edge, Node
from qmpserver.block.opening import CorruptionListener, DuplicateFd, Opening
from qmpserver.block.reopen_options import flatten
from qmpserver.block.view import NodeFlags
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.extras import SupportsBackingFile, SupportsCheck
from qmpserver.driver_api.opening import ChildSpec
from qmpserver.driver_api.permissions import PERM_ALL, ChildRole, Permission, PermissionSet
from qmpserver.driver_api.registry import UNRECOGNISED, DriverRegistry
from qmpserver.driver_api.surroundings import Surroundings
from qmpserver.errors import QMPError, error_text
from qmpserver.tasks import begin_writing, need_loop

PROBE_LENGTH = 2048
"""Bytes at the start of an image that its format is guessed from."""

_AT_BACKING = "Could not open backing file: "

_COMMON = frozenset(
    (
        "driver",
        "node-name",
        "read-only",
        "auto-read-only",
        "cache",
        "discard",
        "detect-zeroes",
        "force-share",
        "active",
    )
)

CheckOptions = Callable[[dict[str, Any]], dict[str, Any]]
"""Checks the options of one node that came from an image, not from a client."""

Gate = Callable[[str], None]
"""Called with each file name that an image, not a client, asks to open; raises QMPError to refuse."""


class _ChainLink(NamedTuple):
    """The way from a node to its backing node: a reference or options, and the flags it inherits."""

    options: dict[str, Any] | str
    flags: NodeFlags


class _Below(NamedTuple):
    """A backing node, and its options if it was opened just now and so may want one too."""

    node: Node
    options: dict[str, Any] | None = None


def no_fd_sets(set_id: int, flags: int) -> int:
    """Refuse: there are no sets of descriptors.

    Raises:
        QMPError: Always.
    """
    del flags
    raise QMPError(f"Failed to find fdset /dev/fdset/{set_id}")


_ALONE = Surroundings()


class Opener:
    """Opens images into a graph.

    Args:
        graph: Where the nodes go.  The caller of :meth:`open` holds its lock.
        registry: The drivers there are.
        check_options: Checks options that an image asks for.
        on_corruption: Told of damaged images.
        duplicate_fd: Supplies what ``/dev/fdset/N`` stands for.
        gate: Asked before a file that an image names is opened.
        surroundings: What drivers find around them.

    Attributes:
        opens_active: Nodes are opened to be used, unless they say otherwise; else left to another process.
    """

    def __init__(
        self,
        graph: Graph,
        registry: DriverRegistry,
        check_options: CheckOptions,
        on_corruption: CorruptionListener,
        *,
        duplicate_fd: DuplicateFd = no_fd_sets,
        gate: Gate = lambda _filename: None,
        surroundings: Surroundings = _ALONE,
    ) -> None:
        self._graph = graph
        self._registry = registry
        self._check_options = check_options
        self._on_corruption = on_corruption
        self._duplicate_fd = duplicate_fd
        self._gate = gate
        self._surroundings = surroundings
        self.opens_active = True

    async def open(self, options: dict[str, Any]) -> Node:
        """Open a node with everything below it, and give it to the monitor.

        Args:
            options: As ``blockdev-add`` takes them, already checked.

        Raises:
            QMPError: Something cannot be opened; nothing remains of the attempt.
        """
        if "node-name" not in options:
            raise QMPError("'node-name' must be specified for the root node")
        node = await self.open_unowned(options)
        node.is_monitor_owned = True
        return node

    async def open_unowned(
        self, options: dict[str, Any], *, with_backing: bool = True, for_check: bool = False
    ) -> Node:
        """Open a node with everything below it, for the caller to become its user.

        Args:
            options: As ``blockdev-add`` takes them, already checked; without `driver`, the format is probed.
            with_backing: Open the backing files as well; else the node is only good for being described.
            for_check: The image is only to be checked, and may be damaged.

        Raises:
            QMPError: Something cannot be opened; nothing remains of the attempt.
        """
        flags = NodeFlags(no_io=not with_backing, active=self.opens_active)
        return await self._open_tree(options, flags, with_backing=with_backing, for_check=for_check)

    async def open_overlay(self, options: dict[str, Any], flags: NodeFlags) -> Node:
        """Open an image without what it names as its backing file, for the caller to put it over a node.

        Args:
            options: As ``blockdev-add`` takes them.
            flags: What they do not say.

        Raises:
            QMPError: It cannot be opened; nothing remains of the attempt.
        """
        made: list[Node] = []
        try:
            node = await self._open_one(options, flags, made)
            await self._graph.refresh(node)
        except BaseException:
            await self._discard(made)
            raise
        return node

    async def open_backing(self, node: Node) -> None:
        """Open what a node that has no backing node names as its backing file, and all below.

        Raises:
            QMPError: It cannot be opened; nothing remains of the attempt.
        """
        made: list[Node] = []
        try:
            await self._open_chain(node, {}, made)
            await self._graph.refresh(node)
        except BaseException:
            edge = node.children.get("backing")
            if edge is not None:
                self._graph.detach(edge)
            await self._discard(made)
            raise

    async def _open_tree(
        self, options: dict[str, Any], inherited: NodeFlags, *, with_backing: bool, for_check: bool
    ) -> Node:
        made: list[Node] = []
        try:
            top = await self._open_one(options, inherited, made, for_check=for_check)
            if with_backing:
                await self._open_chain(top, options, made)
            await self._graph.refresh(top)
        except BaseException:
            await self._discard(made)
            raise
        return top

    async def _discard(self, made: list[Node]) -> None:
        """Close the nodes of an attempt that failed."""
        await self._graph.discard(*(node for node in made if not node.parents))

    async def _open_chain(self, top: Node, options: dict[str, Any], made: list[Node]) -> None:
        """Open backing nodes one below the other, until there is none or it exists already."""
        seen = _identities(top)
        lowest, wanted = top, options
        opened = [top]
        while True:
            try:
                below = await self._find_below(lowest, wanted, seen, made)
            except QMPError as error:
                raise error.within(_AT_BACKING * len(opened)) from error
            if below is None:
                break
            try:
                self._graph.attach(lowest, "backing", below.node, ChildRole.COW)
            except QMPError as error:
                raise error.within(_AT_BACKING * (len(opened) - 1)) from error
            if below.options is None:
                break
            below.node.inherits_from = lowest
            lowest, wanted = below.node, below.options
            opened.append(lowest)
        self._refuse_cycle(opened)

    def _refuse_cycle(self, opened: list[Node]) -> None:
        """Refuse a chain whose last node refers back to one of its own."""
        edge = opened[-1].children.get("backing")
        if edge is None or edge.node not in opened:
            return
        self._graph.detach(edge)
        # QEMU: it makes the links from below, so the highest one is the one too many.
        depth = opened.index(edge.node)
        below = opened[depth + 1] if edge.node is not opened[-1] else edge.node
        raise QMPError(
            f"{_AT_BACKING * depth}Making '{below.node_name}' a backing child of "
            f"'{edge.node.node_name}' would create a cycle"
        )

    async def _find_below(
        self, node: Node, options: dict[str, Any], seen: set[str], made: list[Node]
    ) -> _Below | None:
        """Return what is to be the backing node of `node`, opened if it is not there already."""
        link = self._backing_of(node, options)
        if link is None:
            return None
        if isinstance(link.options, str):
            return _Below(self._graph.find(link.options))
        below = await self._open_one(link.options, link.flags, made)
        ids = _identities(below)
        if not seen.isdisjoint(ids):
            raise QMPError(
                f"The backing chain of '{filenames.filename_of(node)}' loops: "
                f"'{filenames.filename_of(below)}' is in it already"
            )
        seen |= ids
        return _Below(below, link.options)

    def _backing_of(self, node: Node, options: dict[str, Any]) -> _ChainLink | None:
        driver = node.driver
        if not driver.supports_backing or not isinstance(driver, SupportsBackingFile):
            return None
        flags = node.flags.but(read_only=True, auto_read_only=False, detect_zeroes="off")
        if "backing" in options:
            # QEMU: an empty reference means none at all, as null does.
            if options["backing"] in (None, ""):
                return None
            return _ChainLink(options["backing"], flags)
        if driver.backing_filename is None:
            return None
        return _ChainLink(self._named_backing(node, driver.backing_filename, driver.backing_format), flags)

    def _named_backing(self, node: Node, filename: str, backing_format: str | None) -> dict[str, Any]:
        """Return the options of the backing file that the image itself names."""
        full_name = filenames.backing_filename_of(node, filename)
        self._gate(full_name)
        options = filenames.filename_options(full_name, backing_format)
        return self._check_options(options) if "driver" in options else options

    async def _open_one(
        self, options: dict[str, Any], inherited: NodeFlags, made: list[Node], *, for_check: bool = False
    ) -> Node:
        """Open one node and its children, but not its backing node."""
        flags = NodeFlags.from_options(options, inherited)
        name = options.get("node-name")
        opening = Opening(
            name or self._graph.new_name(),
            flags,
            self._graph,
            on_corruption=self._on_corruption,
            duplicate_fd=self._duplicate_fd,
            open_named=partial(self._open_named, made),
            surroundings=self._surroundings,
        )
        opening.passes_active = inherited.active
        try:
            driver_class = await self._choose_driver(options, opening, made)
            if not driver_class.works_in_place:
                await need_loop()
            if not flags.read_only:
                begin_writing()
            taken = {name.partition(".")[0] for name in opening.edges}
            opening.options = {
                key: value
                for key, value in options.items()
                if key not in _COMMON and key not in taken and key != "backing"
            }
            if name is not None:
                self._graph.check_new_name(name)
            driver = await self._open_driver(driver_class, opening, for_check=for_check)
            if flags.active and not for_check:
                await _load_bitmaps(opening, driver)
        except BaseException:
            for edge in opening.edges.values():
                self._graph.detach(edge)
            # Children that were there before hold what the attempt needed of them.
            await self._graph.discard(*(edge.node for edge in opening.edges.values()))
            raise
        node = self._make_node(opening, driver, made)
        own = {key: value for key, value in options.items() if key in _COMMON or key in opening.options}
        node.explicit = flatten({"driver": driver.format_name, **own})
        made.append(node)
        return node

    async def _choose_driver(
        self, options: dict[str, Any], opening: Opening, made: list[Node]
    ) -> type[BlockDriver]:
        """Open the children, and find the driver that is named or that the image's content shows."""
        name = options.get("driver")
        if name is None:
            await self._open_child(ChildSpec("file", _PROBED_ROLE), options, opening, made)
            head = memoryview(bytearray(PROBE_LENGTH))
            file = opening.edges["file"]
            try:
                await file.pread(0, head)
            except OSError as error:
                if error.errno == errno.ENOMEDIUM:
                    # QEMU: a drive of the host without a medium is taken as it is.
                    return self._registry.find(UNRECOGNISED)
                raise QMPError(
                    f"Could not read image for determining its format: {error_text(error)}"
                ) from error
            name = self._registry.probe(bytes(head), filenames.filename_of(file.node))
            if name == UNRECOGNISED:
                opening.head_guard = HeadGuard(self._registry.probe)
            return self._registry.find(name)
        driver_class = self._registry.find(name)
        for spec in driver_class.child_specs:
            if spec.name in options:
                await self._open_children(spec, options[spec.name], opening, made)
        return driver_class

    async def _open_children(self, spec: ChildSpec, wanted: Any, opening: Opening, made: list[Node]) -> None:
        """Open what an option describes: one child, or a list of them."""
        if not spec.is_list:
            await self._open_child(spec, {spec.name: wanted}, opening, made)
            return
        for index, one in enumerate(wanted):
            child = spec._replace(name=f"{spec.name}.{index}", is_list=False)
            await self._open_child(child, {child.name: one}, opening, made)

    async def _open_child(
        self, spec: ChildSpec, options: dict[str, Any], opening: Opening, made: list[Node]
    ) -> None:
        wanted = options[spec.name]
        if spec.name != "file" and opening.made_later is None:
            opening.made_later = len(made)
        if isinstance(wanted, str):
            child = self._graph.find(wanted)
            check_active(opening, spec.name, child)
        else:
            inherited = opening.flags.but(discard=True, detect_zeroes="off", active=opening.passes_active)
            child = await self._open_one(wanted, inherited, made)
            await self._open_chain(child, wanted, made)
            opening.own_children.append(child)
        edge = self._graph.attach(opening, spec.name, child, spec.role)
        opening.edges[spec.name] = edge
        if opening.flags.active:
            edge.permissions = _permissions_while_opening(spec.role, read_only=opening.read_only)
        else:
            edge.permissions = PermissionSet(Permission.CONSISTENT_READ, PERM_ALL)
        # Locks are held before the driver's first look, and before it may repair anything.
        await self._graph.refresh(child)

    async def _open_named(self, made: list[Node], opening: Opening, spec: ChildSpec, filename: str) -> None:
        """Open a file that an image names.

        The name is never taken apart: users look for backing files in an image, but not for other
        names, which so cannot smuggle in a protocol or options.
        """
        self._gate(filename)
        await self._open_child(spec, {spec.name: filenames.path_options(filename)}, opening, made)

    async def _open_driver(
        self, driver_class: type[BlockDriver], opening: Opening, *, for_check: bool = False
    ) -> BlockDriver:
        try:
            if for_check and issubclass(driver_class, SupportsCheck):
                return await driver_class.open_for_check(opening)
            return await driver_class.open(opening)
        except OSError as error:
            file = opening.edges.get("file")
            name = filenames.filename_of(file.node) if file is not None else opening.options.get("filename")
            raise QMPError(
                f"Could not open '{name}': {error_text(error)}" if name else f"Could not open image: {error}"
            ) from error

    async def _open_anew(self, opening: Opening, node: Node) -> BlockDriver:
        opening.options = node.options
        return await self._open_driver(type(node.driver), opening)

    def _make_node(self, opening: Opening, driver: BlockDriver, made: list[Node]) -> Node:
        node = Node(opening.node_name, driver, opening.flags, dict(opening.options))
        for edge in opening.edges.values():
            edge.parent = node
        # The driver goes on seeing its children as they are.
        node.children = opening.edges
        node.dirty_bitmaps.extend(opening.bitmaps)
        node.open_driver = partial(self._open_anew, opening)
        node.head_guard = opening.head_guard
        for child in opening.own_children:
            child.inherits_from = node
        self._graph.add(node, *(made[opening.made_later :] if opening.made_later is not None else ()))
        if isinstance(driver, SupportsBackingFile):
            node.set_backing_filename(driver.backing_filename)
        return node

    async def insert_filter(self, options: dict[str, Any], below: Node) -> Node:
        """Open a filter over `below` and make every user of `below` a user of the filter.

        The filter is a node of nobody's until the caller uses it.

        Raises:
            QMPError: The filter cannot be opened or the users do not agree; nothing has changed.
        """
        flags = NodeFlags(read_only=below.read_only, discard=below.flags.discard)
        made: list[Node] = []
        moved: list[Edge] = []
        try:
            child = self._registry.find(options["driver"]).filtered_child
            node = await self._open_one({**options, child: below.node_name}, flags, made)
            # What the filter itself uses stays where it is: it may be stored over `below`.
            own = set(permissions.topological((node,)))
            for edge in [edge for edge in below.parents if edge.parent not in own]:
                self._graph.lead(edge, node)
                moved.append(edge)
            await self._graph.refresh(node)
        except BaseException:
            for edge in reversed(moved):
                self._graph.lead(edge, below)
            await self._discard(made)
            await self._graph.loosen(below)
            raise
        return node


_PROBED_ROLE = ChildRole.DATA | ChildRole.METADATA | ChildRole.PRIMARY


async def _load_bitmaps(opening: Opening, driver: BlockDriver) -> None:
    """Read what the image holds of bitmaps; close it again when that cannot be done."""
    try:
        opening.bitmaps += await bitmap_store.load(driver, read_only=opening.read_only)
    except BaseException as error:
        with contextlib.suppress(OSError):
            await driver.close()
        if isinstance(error, OSError):
            raise QMPError(
                f"Could not read a bitmap of node '{opening.node_name}': {error_text(error)}"
            ) from error
        raise


def _permissions_while_opening(role: ChildRole, *, read_only: bool) -> PermissionSet:
    """Return what a driver holds on a child before its own node has any user."""
    if not role & ChildRole.METADATA:
        return PermissionSet(Permission(0), PERM_ALL)
    used = Permission.CONSISTENT_READ
    if not read_only:
        used |= Permission.WRITE | Permission.RESIZE
    return PermissionSet(used, Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED)


def _identities(node: Node) -> set[str]:
    """Return what tells the host files of a node apart from others, whatever they are called."""
    found: set[str] = set()
    for edge in node.children.values():
        if edge.name != "backing":
            found |= _identities(edge.node)
    filename = node.driver.exact_filename if node.driver.is_protocol else None
    if filename is not None and not filenames.has_protocol(filename):
        found.add(os.path.realpath(filename))
    return found
