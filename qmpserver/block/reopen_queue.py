"""List the nodes that one command reopens, each with the options it is to have.

A node takes with it the children that were opened for it in place, which inherit from it; a child that
is only named stays as it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from qmpserver.block import reopen_options as opts
from qmpserver.block.graph import NO_ROLE
from qmpserver.block.node import Edge, Node
from qmpserver.block.view import NodeFlags
from qmpserver.driver_api.permissions import ChildRole


@dataclass(slots=True, eq=False)
class Reopening:
    """One node, and what it is to become.

    Attributes:
        node: The node.
        given: Its own options, flat, children that are named included.
        wanted: The same with what it inherits and keeps.
        flags: What they amount to.
        lacks_backing: Nothing is said of a backing node, though what is not said is not kept.
    """

    node: Node
    given: dict[str, Any]
    wanted: dict[str, Any]
    flags: NodeFlags
    lacks_backing: bool


@dataclass(frozen=True, slots=True)
class _Request:
    """A node still to be listed; `parent` is whom it inherits from."""

    node: Node
    options: dict[str, Any]
    keeps: bool
    parent: Reopening | None = None
    role: ChildRole = NO_ROLE


class ReopenQueue:
    """The nodes to be reopened together, users before what they use."""

    def __init__(self) -> None:
        self._entries: dict[Node, Reopening] = {}

    def __iter__(self) -> Iterator[Reopening]:
        """Go through the nodes in the order they were listed."""
        return iter(self._entries.values())

    def add(self, node: Node, options: dict[str, Any], *, keeps: bool = False) -> None:
        """List a node, and the children that inherit from it.

        Args:
            node: The node; when it is listed already, these options take precedence over the former.
            options: Its new options, flat.
            keeps: What they do not say stays as it was given; else it goes back to the default.
        """
        pending = [_Request(node, options, keeps)]
        while pending:
            pending.extend(reversed(self._list(pending.pop())))

    def _list(self, request: _Request) -> list[_Request]:
        """List one node; return the requests for its children."""
        node = request.node
        given = dict(request.options)
        before = self._entries.get(node)
        if before is not None or request.keeps:
            given = (before.given if before is not None else node.explicit) | given
        wanted = dict(given)
        discard = node.flags.discard
        if request.parent is not None:
            discard = request.parent.flags.discard
            wanted = opts.handed_down(request.parent.wanted, request.role) | wanted
        if request.keeps:
            wanted = opts.as_options(node.flags) | wanted
        entry = Reopening(
            node,
            given,
            wanted,
            opts.as_flags(wanted, node.flags, discard=discard),
            lacks_backing=not request.keeps and not _names_child(given, "backing"),
        )
        self._entries[node] = entry
        return [
            _child_request(entry, edge, keeps=request.keeps)
            for edge in node.children.values()
            if edge.node.inherits_from is node and _is_reopened(given, edge)
        ]


def _names_child(options: dict[str, Any], child: str) -> bool:
    return any(name == child or name.startswith(f"{child}.") for name in options)


def _is_reopened(given: dict[str, Any], edge: Edge) -> bool:
    """Say whether a child goes along: not when another, or none, is named in its place."""
    return edge.name not in given or given[edge.name] == edge.node.node_name


def _child_request(entry: Reopening, edge: Edge, *, keeps: bool) -> _Request:
    keeps = keeps or edge.name in entry.given
    options = opts.take_below(entry.given, edge.name)
    return _Request(edge.node, options, keeps, entry, edge.role)
