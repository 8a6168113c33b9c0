"""Reopen nodes with other options and other children: several at once, all of them or none.

Everything is prepared with the old state kept, the permissions of the whole graph are checked with the new
one, and only then does anything take effect.  The nodes are held still meanwhile.
"""

import contextlib
from dataclasses import dataclass, field

from qmpserver.block import bitmap_store, permissions, reopen_children
from qmpserver.block import reopen_options as opts
from qmpserver.block.draining import run_drained
from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.block.reopen_children import ChildChange
from qmpserver.block.reopen_queue import Reopening, ReopenQueue
from qmpserver.block.view import NodeFlags
from qmpserver.driver_api.extras import SupportsReopen
from qmpserver.errors import QMPError, error_text


async def set_read_only(graph: Graph, node: Node, *, read_only: bool) -> None:
    """Make `node`, and the children that inherit from it, read-only or read-write.

    Raises:
        QMPError: An image cannot be written, or another user or process does not allow it; nothing
            has changed.
    """
    queue = ReopenQueue()
    queue.add(node, {"read-only": read_only}, keeps=True)
    await reopen(graph, queue)


async def reopen(graph: Graph, queue: ReopenQueue) -> None:
    """Reopen everything that is listed.  The graph is locked.

    Raises:
        QMPError: Something cannot be had, or another user or process does not allow it; nothing has
            changed.
    """
    entries = list(queue)
    if not entries:
        # QEMU: 11.1 ends here.
        return
    nodes = [entry.node for entry in entries]
    order = [node for node in permissions.topological(nodes) if node in set(nodes)]
    change = _Change(graph, entries)
    await run_drained(order, change.carry_out)
    await graph.discard(*change.dropped)


@dataclass(slots=True)
class _Change:
    """Several nodes on their way to another state.

    Attributes:
        graph: Their graph, which is locked.
        entries: What each is to become, users first.
        prepared: The drivers that are ready for it.
        committed: Those that are in it.
        flags: The nodes whose flags are the new ones already, and what they were.
        children: The links that lead elsewhere already.
        stored: The nodes whose bitmaps may be in their images, because they were to be read-only.
    """

    graph: Graph
    entries: list[Reopening]
    prepared: list[tuple[Reopening, SupportsReopen]] = field(default_factory=list)
    committed: list[tuple[Reopening, SupportsReopen]] = field(default_factory=list)
    flags: list[tuple[Node, NodeFlags]] = field(default_factory=list)
    children: list[ChildChange] = field(default_factory=list)
    stored: list[Node] = field(default_factory=list)

    @property
    def dropped(self) -> list[Node]:
        """The nodes that no longer are a child of what was reopened."""
        return [change.old for change in self.children if change.old is not None]

    async def carry_out(self) -> None:
        """Bring all nodes into their new state.

        Raises:
            QMPError: One cannot be brought there; all are in the old state.
        """
        current = self.entries[0]
        try:
            await self._flush()
            for current in self.entries:
                await self._prepare(current)
            await self._check_permissions()
            await self._commit()
        except BaseException as error:
            await self._undo()
            if isinstance(error, OSError):
                raise QMPError(f"Could not reopen '{current.node.node_name}': {error_text(error)}") from error
            raise
        for entry in self.entries:
            _note_options(entry)
            bitmap_store.follow_mode(entry.node)

    async def _flush(self) -> None:
        for entry in self.entries:
            try:
                await entry.node.flush()
            except OSError as error:
                raise QMPError("Error flushing drive") from error

    async def _prepare(self, entry: Reopening) -> None:
        node, driver = entry.node, entry.node.driver
        _check_driver(entry)
        entry.flags.check_detect_zeroes()
        if not isinstance(driver, SupportsReopen):
            raise QMPError(
                f"Block format '{driver.format_name}' used by node '{node.node_name}' does not support "
                "reopening files"
            )
        _check_left_out(entry)
        is_read_only = _is_read_only(node, entry.flags)
        if is_read_only:
            self.stored.append(node)
            await bitmap_store.store(node)
        for change in reopen_children.changes(self.graph, entry):
            change.apply(self.graph)
            self.children.append(change)
        await driver.prepare_reopen(read_only=is_read_only, options=_driver_options(entry))
        self.prepared.append((entry, driver))
        _check_unchanged(entry)
        self.flags.append((node, node.flags.but()))
        node.flags.become(entry.flags)

    async def _check_permissions(self) -> None:
        turned = [node for node, old in self.flags if node.read_only and not old.read_only]
        await permissions.refresh((*(entry.node for entry in self.entries), *self.dropped), turned)

    async def _commit(self) -> None:
        # What a node is stored in first, so that it can be written when the node wants to.
        while self.prepared:
            await self.prepared[-1][1].commit_reopen()
            self.committed.append(self.prepared.pop())

    async def _undo(self) -> None:
        """Take back what can be; why the change failed is what the caller is to hear."""
        for node, old in self.flags:
            node.flags.become(old)
        for change in reversed(self.children):
            change.undo(self.graph)
        for _, driver in self.prepared:
            await driver.abort_reopen()
        await self.graph.loosen(*(entry.node for entry in self.entries), *self.dropped)
        for entry, driver in reversed(self.committed):
            with contextlib.suppress(OSError, QMPError):
                options = _options(entry.node.explicit, entry.node.flags)
                is_read_only = _is_read_only(entry.node, entry.node.flags)
                await driver.prepare_reopen(read_only=is_read_only, options=options)
                await driver.commit_reopen()
        self.children.clear()
        for node in self.stored:
            if not node.read_only:
                with contextlib.suppress(OSError):
                    await bitmap_store.take_back(node)


def _is_read_only(node: Node, flags: NodeFlags) -> bool:
    """Say whether the driver may not write: an image is not its own while the node is inactive."""
    return flags.read_only or not (flags.active or node.driver.is_protocol)


def _note_options(entry: Reopening) -> None:
    node = entry.node
    node.explicit = entry.given
    for name in node.children:
        node.explicit = opts.without_child(node.explicit, name)
    node.explicit.pop("backing", None)
    own = {name: value for name, value in node.explicit.items() if name not in opts.COMMON}
    node.options = opts.nest(own)


def _driver_options(entry: Reopening) -> dict[str, object]:
    given = entry.given
    for name in entry.node.children:
        given = opts.without_child(given, name)
    return _options(given, entry.flags)


def _options(own: dict[str, object], flags: NodeFlags) -> dict[str, object]:
    """Return all that a driver may want to know, in the shape of ``blockdev-add``."""
    discard = "unmap" if flags.discard else "ignore"
    return opts.nest({**own, **opts.as_options(flags), "discard": discard})


def _check_driver(entry: Reopening) -> None:
    driver = entry.node.driver.format_name
    if entry.given.get("driver", driver) != driver:
        raise QMPError("Cannot change the option 'driver'")


def _check_left_out(entry: Reopening) -> None:
    """Refuse to set an option back to its default that cannot be."""
    driver = entry.node.driver
    changeable = driver.changeable_options - driver.lasting_options
    for name in entry.node.explicit:
        if name in entry.given or name in opts.RESETTABLE or name.partition(".")[0] in changeable:
            continue
        raise QMPError(f"Option '{name}' cannot be reset to its default value")


def _check_unchanged(entry: Reopening) -> None:
    """Refuse another value for an option that cannot be changed."""
    node, changeable = entry.node, entry.node.driver.changeable_options
    # QEMU: it lets `active` be set to false here, and never back; there is a command for both.
    old = {**node.explicit, "node-name": node.node_name, "active": node.is_active}
    old |= {name: edge.node.node_name for name, edge in node.children.items()} | {"backing": None}
    if (backing := node.backing) is not None:
        old["backing"] = backing.node_name
    for name, value in entry.given.items():
        if name in opts.CHANGEABLE or name.partition(".")[0] in changeable:
            continue
        if name not in old or old[name] != value:
            raise QMPError(f"Cannot change the option '{name}'")
