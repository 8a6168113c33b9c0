import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, Permission, PermissionSet
from qmpserver.drivers.file.locks import ImageLock, lock_bytes, make_lock
from qmpserver.errors import NodeInUse

READ, WRITE, RESIZE = Permission.CONSISTENT_READ, Permission.WRITE, Permission.RESIZE
UNCHANGED = Permission.WRITE_UNCHANGED


@pytest.fixture
def locks(image: Path) -> Iterator[tuple[ImageLock, ImageLock]]:
    """The locks of two users of one image."""
    first, second = os.open(image, os.O_RDWR), os.open(image, os.O_RDWR)
    yield ImageLock(first, is_ofd=True), ImageLock(second, is_ofd=True)
    os.close(first)
    os.close(second)


@pytest.mark.parametrize(
    ("used", "shared", "expected"),
    [
        (PERM_NONE, PERM_ALL, set()),
        (READ, PERM_ALL, {100}),
        (READ | WRITE, PERM_ALL & ~RESIZE, {100, 101, 203}),
        (READ | WRITE | RESIZE, READ | UNCHANGED, {100, 101, 103, 201, 203}),
        (PERM_ALL, PERM_NONE, {100, 101, 102, 103, 200, 201, 202, 203}),
    ],
)
def test_permissions_lock_the_bytes_that_qemu_locks(
    used: Permission, shared: Permission, expected: set[int]
) -> None:
    assert lock_bytes(PermissionSet(used, shared)) == expected


@pytest.mark.parametrize(
    ("held", "wanted", "text"),
    [
        (PermissionSet(READ, READ), PermissionSet(WRITE, PERM_ALL), 'Failed to get "write" lock'),
        (PermissionSet(READ, WRITE), PermissionSet(READ, PERM_ALL), 'Failed to get "consistent read" lock'),
        (
            PermissionSet(READ, READ),
            PermissionSet(UNCHANGED, PERM_ALL),
            'Failed to get "write unchanged" lock',
        ),
        (PermissionSet(WRITE, PERM_ALL), PermissionSet(READ, READ), 'Failed to get shared "write" lock'),
        (PermissionSet(RESIZE, PERM_ALL), PermissionSet(READ, READ), 'Failed to get shared "resize" lock'),
    ],
)
def test_a_conflict_is_told_in_qemus_words_and_changes_nothing(
    locks: tuple[ImageLock, ImageLock], held: PermissionSet, wanted: PermissionSet, text: str
) -> None:
    mine, theirs = locks
    theirs.acquire_checked(held)
    before = PermissionSet(PERM_NONE, PERM_ALL)
    mine.acquire(before)
    with pytest.raises(NodeInUse) as caught:
        mine.acquire_checked(wanted)
    assert caught.value.description == text
    assert mine.held == frozenset()
    theirs.restore(frozenset())
    mine.acquire_checked(wanted)
    assert mine.held == lock_bytes(wanted)


def test_users_that_agree_share_an_image(locks: tuple[ImageLock, ImageLock]) -> None:
    for lock in locks:
        lock.acquire_checked(PermissionSet(READ | WRITE, PERM_ALL))


def test_reducing_keeps_what_is_still_needed(locks: tuple[ImageLock, ImageLock]) -> None:
    mine, theirs = locks
    mine.acquire_checked(PermissionSet(READ | WRITE, READ))
    mine.reduce(PermissionSet(READ, READ | WRITE))
    assert mine.held == lock_bytes(PermissionSet(READ, READ | WRITE))
    theirs.acquire_checked(PermissionSet(WRITE, PERM_ALL))


@pytest.mark.parametrize(("locking", "locks"), [("off", False), ("auto", True), ("on", True)])
def test_locking_can_be_switched_off(image: Path, locking: str, locks: bool) -> None:
    descriptor = os.open(image, os.O_RDWR)
    assert (make_lock(descriptor, locking) is not None) is locks
    os.close(descriptor)
