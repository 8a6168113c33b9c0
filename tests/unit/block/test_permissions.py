"""What a node needs of its children follows from its users and the child's role, as in QEMU."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from qmpserver.block.backend import BlockBackend
from qmpserver.block.permissions import permission_words, topological
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, Permission, PermissionSet
from qmpserver.errors import NodeInUse, QMPError

MakeEngine = Callable[[], Any]

READ, WRITE = Permission.CONSISTENT_READ, Permission.WRITE
UNCHANGED, RESIZE = Permission.WRITE_UNCHANGED, Permission.RESIZE


def test_permissions_are_listed_in_qemus_words_and_order() -> None:
    assert permission_words(PERM_ALL) == "consistent read, write, write unchanged, resize"
    assert permission_words(PERM_NONE) == ""


def test_a_format_holds_its_file_for_itself_and_its_backing_file_for_reading(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        await engine.add("base", "b", **{"read-only": True})
        top = await engine.add("top", "t", backing="base")
        assert top.children["file"].permissions == PermissionSet(READ | WRITE | RESIZE, READ | UNCHANGED)
        assert top.children["backing"].permissions == PermissionSet(PERM_NONE, PERM_ALL)
        backend = BlockBackend(engine.graph, "user")
        await backend.insert(top, PermissionSet(READ, PERM_ALL & ~WRITE))
        assert top.children["backing"].permissions == PermissionSet(READ, READ | UNCHANGED)
        await backend.remove()
        assert top.children["backing"].permissions == PermissionSet(PERM_NONE, PERM_ALL)

    asyncio.run(scenario())


def test_a_refused_user_leaves_every_permission_as_it_was(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        top = await engine.add("top", "t")
        holder = BlockBackend(engine.graph, "holder")
        await holder.insert(top, PermissionSet(READ, READ))
        before = [(edge.name, edge.permissions) for node in engine.graph for edge in node.parents]
        other = BlockBackend(engine.graph)
        with pytest.raises(NodeInUse) as caught:
            await other.insert(top, PermissionSet(READ | WRITE, PERM_ALL))
        assert caught.value.description == (
            "Permission conflict on node 'top': permissions 'write' are both required by an unnamed block "
            "device (uses node 'top' as 'root' child) and unshared by block device 'holder' "
            "(uses node 'top' as 'root' child)."
        )
        assert [(edge.name, edge.permissions) for node in engine.graph for edge in node.parents] == before
        assert other.root is None

    asyncio.run(scenario())


def test_writing_to_a_read_only_node_is_refused_at_the_door(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        top = await engine.add("top", "t", **{"read-only": True})
        with pytest.raises(QMPError, match="Block node is read-only"):
            await BlockBackend(engine.graph).insert(top, PermissionSet(WRITE, PERM_ALL))
        assert not top.parents

    asyncio.run(scenario())


def test_users_come_before_what_they_use_even_in_a_diamond(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        base = await engine.add("base", "b", **{"read-only": True})
        left = await engine.add("left", "l", backing="base")
        right = await engine.add("right", "r", backing="base")
        order = [node.node_name for node in topological([right, left, base])]
        for node in (left, right):
            for edge in node.children.values():
                assert order.index(node.node_name) < order.index(edge.node.node_name)
        assert len(order) == len(set(order)) == 6

    asyncio.run(scenario())
