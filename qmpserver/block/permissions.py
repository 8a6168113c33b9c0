"""Work out what every user of a node needs and allows, and refuse what does not agree.

The rules are QEMU's: a driver needs of its children what its own users need of it, plus what its
own structures need, by the role of each child.
"""

from collections.abc import Collection, Iterable, Iterator

from qmpserver.block import filenames
from qmpserver.block.node import Edge, Node
from qmpserver.driver_api.extras import SupportsPermissions
from qmpserver.driver_api.permissions import PERM_ALL, ChildRole, Permission, PermissionSet
from qmpserver.errors import NodeInUse, QMPError, error_text

_READ = Permission.CONSISTENT_READ
_WRITE = Permission.WRITE
_UNCHANGED = Permission.WRITE_UNCHANGED
_RESIZE = Permission.RESIZE

_WORDS = {_READ: "consistent read", _WRITE: "write", _UNCHANGED: "write unchanged", _RESIZE: "resize"}


def permission_words(permissions: Permission) -> str:
    """List permissions as QEMU's refusals do: ``write, resize``."""
    return ", ".join(words for bit, words in _WORDS.items() if bit in permissions)


def child_permissions(node: Node, edge: Edge) -> PermissionSet:
    """Return what `node` needs and allows of its child `edge`, given `node`'s own users."""
    used, shared = node.cumulative_permissions()
    permissions = node.driver.child_permissions(edge.name, used, shared)
    if permissions is None:
        permissions = _usual_permissions(node, edge.role, used, shared)
    if not node.is_active:
        permissions = PermissionSet(permissions.used & _READ, PERM_ALL)
    elif edge.node.flags.force_share:
        permissions = PermissionSet(permissions.used, PERM_ALL)
    return permissions


def _usual_permissions(node: Node, role: ChildRole, used: Permission, shared: Permission) -> PermissionSet:
    if role & ChildRole.FILTERED:
        return PermissionSet(used, shared)
    if role & ChildRole.COW:
        return _of_backing(used, shared)
    return _of_storage(node, role, used, shared)


def _of_backing(used: Permission, shared: Permission) -> PermissionSet:
    """A backing file is only read, and may change only if the overlay's users allow changes."""
    allowed = _READ | _UNCHANGED
    if shared & _WRITE:
        allowed |= _WRITE | _RESIZE
    return PermissionSet(used & _READ, allowed)


def _of_storage(node: Node, role: ChildRole, used: Permission, shared: Permission) -> PermissionSet:
    if role & ChildRole.METADATA:
        # The image's own structures: read always, written whenever the node can be, by nobody else.
        if not node.read_only:
            used |= _WRITE | _RESIZE
        used |= _READ
        shared &= ~(_WRITE | _RESIZE)
    if role & ChildRole.DATA:
        if used & _WRITE:
            used |= _RESIZE
        shared &= ~_RESIZE
    return PermissionSet(used, shared)


def _youngest_first(node: Node) -> Iterator[Edge]:
    """Go through the children in QEMU's order, so that of two conflicts the same one is told."""
    return reversed(tuple(node.children.values()))


def topological(roots: Iterable[Node]) -> list[Node]:
    """Return every node at or below `roots`, each after all of its users among them."""
    order: list[Node] = []
    seen: set[int] = set()

    def visit(node: Node) -> None:
        stack: list[tuple[Node, Iterator[Edge]]] = [(node, _youngest_first(node))]
        seen.add(id(node))
        while stack:
            current, edges = stack[-1]
            edge = next((edge for edge in edges if id(edge.node) not in seen), None)
            if edge is None:
                order.append(current)
                stack.pop()
            else:
                seen.add(id(edge.node))
                stack.append((edge.node, _youngest_first(edge.node)))

    for root in roots:
        if id(root) not in seen:
            visit(root)
    order.reverse()
    return order


def check_users(node: Node) -> None:
    """Refuse when one user of `node` needs what another does not allow.

    Raises:
        NodeInUse: Naming both users and the permissions.
    """
    for unsharing in reversed(node.parents):
        for requiring in node.parents:
            if requiring is unsharing:
                continue
            contested = requiring.used & ~unsharing.shared
            if contested:
                raise NodeInUse(
                    f"Permission conflict on node '{node.node_name}': permissions "
                    f"'{permission_words(contested)}' are both required by {_use(requiring, node)} "
                    f"and unshared by {_use(unsharing, node)}.",
                    code="permission-conflict",
                    node=node.node_name,
                    user=requiring.parent.name,
                    holder=unsharing.parent.name,
                )


def _use(edge: Edge, node: Node) -> str:
    return f"{edge.parent.describe()} (uses node '{node.node_name}' as '{edge.name}' child)"


def _check_writable(node: Node, used: Permission, turned_read_only: Collection[Node]) -> None:
    if not used & (_WRITE | _UNCHANGED):
        return
    if node in turned_read_only:
        raise QMPError(f"Read-only block node '{node.node_name}' cannot support read-write users")
    if node.read_only or not node.is_active:
        raise QMPError("Block node is read-only", code="read-only", node=node.node_name)
    if used & _WRITE and not used & _RESIZE and node.size % max(node.driver.limits.request_alignment, 1):
        # Requests are filled up to the alignment, and must not write past the end by that.
        raise QMPError(
            "Cannot get 'write' permission without 'resize': Image size is not a multiple of request alignment"
        )


async def _prepare(node: Node, driver: SupportsPermissions, permissions: PermissionSet) -> None:
    try:
        await driver.prepare_permissions(permissions)
    except OSError as error:
        raise QMPError(f"Could not open '{filenames.filename_of(node)}': {error_text(error)}") from error


async def refresh(roots: Iterable[Node], turned_read_only: Collection[Node] = ()) -> None:
    """Bring the permissions of everything at or below `roots` up to date with their users.

    Args:
        roots: The nodes whose users have changed.
        turned_read_only: Nodes that could be written until now.

    Raises:
        NodeInUse: Two users of a node do not agree, or another process does not allow it.
        QMPError: A read-only node would have to be written, or an image file cannot be opened in the
            mode needed.
            In each case no permission has changed; the caller undoes its own change to the graph.
    """
    order = topological(roots)
    before: list[tuple[Edge, PermissionSet]] = []
    prepared: list[SupportsPermissions] = []
    try:
        for node in order:
            check_users(node)
            used, shared = node.cumulative_permissions()
            _check_writable(node, used, turned_read_only)
            for edge in node.children.values():
                before.append((edge, edge.permissions))
                edge.permissions = child_permissions(node, edge)
            if isinstance(node.driver, SupportsPermissions):
                await _prepare(node, node.driver, PermissionSet(used, shared))
                prepared.append(node.driver)
    except BaseException:
        for driver in prepared:
            driver.abort_permissions()
        for edge, permissions in reversed(before):
            edge.permissions = permissions
        raise
    for driver in prepared:
        driver.commit_permissions()
