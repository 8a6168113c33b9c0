import asyncio
import os
from pathlib import Path

import pytest

from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, Permission, PermissionSet
from qmpserver.drivers.file.access import Access, AccessPolicy
from qmpserver.errors import NodeInUse, QMPError

READ, WRITE, RESIZE = Permission.CONSISTENT_READ, Permission.WRITE, Permission.RESIZE
NOTHING = PermissionSet(PERM_NONE, PERM_ALL)
READER = PermissionSet(READ, READ | WRITE)
WRITER = PermissionSet(READ | WRITE, READ)
AUTOMATIC = AccessPolicy(read_only=False, is_automatic=True, direct=False)
READ_WRITE = AccessPolicy(read_only=False, is_automatic=False, direct=False)
READ_ONLY = AccessPolicy(read_only=True, is_automatic=False, direct=False)


async def open_access(path: Path, policy: AccessPolicy) -> Access:
    return await Access.open(str(path), "on", None, policy)


def is_writable(access: Access) -> bool:
    return access.handle.mode.writable


async def change(access: Access, permissions: PermissionSet) -> None:
    await access.prepare_permissions(permissions)
    access.commit_permissions()


@pytest.mark.parametrize(
    ("policy", "used", "writable"),
    [
        (AUTOMATIC, PERM_NONE, False),
        (AUTOMATIC, READ, False),
        (AUTOMATIC, WRITE, True),
        (AUTOMATIC, Permission.WRITE_UNCHANGED, True),
        (AUTOMATIC, RESIZE, True),
        (READ_WRITE, PERM_NONE, True),
        (READ_ONLY, PERM_NONE, False),
    ],
)
def test_the_mode_follows_policy_and_use(policy: AccessPolicy, used: Permission, writable: bool) -> None:
    assert policy.mode(used).writable is writable


def test_an_automatic_node_is_writable_while_somebody_writes(image: Path) -> None:
    async def main() -> None:
        access = await open_access(image, AUTOMATIC)
        await change(access, READER)
        assert not is_writable(access)
        await change(access, WRITER)
        assert is_writable(access)
        await change(access, READER)
        assert not is_writable(access)
        access.close()

    asyncio.run(main())


@pytest.mark.parametrize("policy", [AUTOMATIC, READ_WRITE])
def test_the_locks_follow_the_descriptor(image: Path, policy: AccessPolicy) -> None:
    async def main() -> None:
        mine, theirs = await open_access(image, policy), await open_access(image, policy)
        await change(mine, WRITER)
        for _ in range(2):
            with pytest.raises(NodeInUse, match='Failed to get "write" lock'):
                await theirs.prepare_permissions(WRITER)
        await change(mine, READER)
        with pytest.raises(NodeInUse, match='Failed to get shared "consistent read" lock'):
            await theirs.prepare_permissions(PermissionSet(WRITE, PERM_NONE))
        await change(mine, NOTHING)
        await change(theirs, WRITER)
        mine.close()
        theirs.close()

    asyncio.run(main())


@pytest.mark.parametrize("policy", [AUTOMATIC, READ_WRITE])
def test_an_aborted_change_leaves_no_trace(image: Path, policy: AccessPolicy) -> None:
    async def main() -> None:
        mine, theirs = await open_access(image, policy), await open_access(image, policy)
        await change(mine, READER)
        before = mine.handle
        await mine.prepare_permissions(WRITER)
        mine.abort_permissions()
        assert mine.handle is before
        assert mine.permissions == READER
        await change(theirs, PermissionSet(READ | WRITE, READ))
        mine.close()
        theirs.close()

    asyncio.run(main())


def test_a_request_under_way_keeps_its_descriptor_but_not_its_locks(image: Path) -> None:
    async def main() -> None:
        access = await open_access(image, AUTOMATIC)
        await change(access, PermissionSet(READ, READ))
        old = access.handle
        old.begin()
        await change(access, WRITER)
        await change(access, PermissionSet(PERM_ALL, PERM_NONE))
        old.end()
        access.close()

    asyncio.run(main())


def test_reopening_takes_effect_with_the_permissions_it_needs(image: Path) -> None:
    async def main() -> None:
        access = await open_access(image, READ_ONLY)
        await change(access, READER)
        await access.prepare_reopen(READ_WRITE)
        assert not is_writable(access)
        await change(access, WRITER)
        assert is_writable(access)
        await access.commit_reopen()
        assert is_writable(access)
        other = await open_access(image, READ_ONLY)
        with pytest.raises(NodeInUse):
            await other.prepare_permissions(WRITER)
        access.close()
        other.close()

    asyncio.run(main())


def test_an_aborted_reopening_leaves_no_trace(image: Path) -> None:
    async def main() -> None:
        access = await open_access(image, READ_ONLY)
        other = await open_access(image, READ_WRITE)
        await change(other, WRITER)
        await access.prepare_reopen(READ_WRITE)
        with pytest.raises(NodeInUse):
            await access.prepare_permissions(WRITER)
        access.abort_reopen()
        assert access.policy == READ_ONLY
        assert not is_writable(access)
        await change(other, NOTHING)
        await change(access, READER)
        access.close()
        other.close()

    asyncio.run(main())


def test_a_file_that_has_gone_cannot_be_reopened(image: Path) -> None:
    async def main() -> None:
        access = await open_access(image, AUTOMATIC)
        os.unlink(image)
        with pytest.raises(QMPError, match="No such file or directory"):
            await access.prepare_permissions(WRITER)
        await change(access, READER)
        access.close()

    asyncio.run(main())
