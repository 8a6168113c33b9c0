"""Descriptors by name and in sets; texts as recorded from QEMU 11.1."""

import errno
import os
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from qmpserver.errors import QMPError
from qmpserver.monitor.fds import FdSets, FdStore
from tests.unit.monitor.world import is_open


class Ends(NamedTuple):
    """Descriptors to pass, one that reads and one that writes."""

    reading: int
    writing: int


@pytest.fixture
def ends() -> Iterator[Ends]:
    pair = Ends(*os.pipe())
    yield pair
    for fd in pair:
        if is_open(fd):
            os.close(fd)


@pytest.fixture
def store() -> Iterator[FdStore]:
    made = FdStore()
    yield made
    made.close()


@pytest.fixture
def sets() -> Iterator[FdSets]:
    made = FdSets()
    yield made
    made.close()


NONE_PASSED = "No file descriptor supplied via SCM_RIGHTS"


def test_without_a_descriptor_there_is_nothing_to_name(store: FdStore) -> None:
    for name in ("a", "1a", ""):
        with pytest.raises(QMPError, match=NONE_PASSED):
            store.getfd(name)


def test_a_name_may_be_used_again_and_closes_what_had_it(store: FdStore, ends: Ends) -> None:
    store.arrive([ends.reading, ends.writing])
    store.getfd("a")
    store.getfd("a")
    assert (is_open(ends.reading), is_open(ends.writing)) == (False, True)


def test_a_name_that_begins_with_a_digit_is_refused_and_the_descriptor_closed(
    store: FdStore, ends: Ends
) -> None:
    store.arrive([ends.reading])
    with pytest.raises(QMPError, match="Parameter 'fdname' expects a name not starting with a digit"):
        store.getfd("1a")
    assert not is_open(ends.reading)


def test_what_was_not_claimed_is_closed_when_more_arrives(store: FdStore, ends: Ends) -> None:
    store.arrive([ends.reading])
    store.arrive([ends.writing])
    assert not is_open(ends.reading)
    assert store.take() == ends.writing


def test_closing_a_name_that_is_not_there_is_refused(store: FdStore, ends: Ends) -> None:
    store.arrive([ends.reading])
    store.getfd("")
    store.closefd("")
    assert not is_open(ends.reading)
    with pytest.raises(QMPError, match="File descriptor named 'zz' not found"):
        store.closefd("zz")


def test_sets_get_the_lowest_free_number_and_are_shown_from_the_highest(sets: FdSets) -> None:
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
    assert sets.add(fds[0]) == {"fd": fds[0], "fdset-id": 0}
    assert sets.add(fds[1], 5, "x") == {"fd": fds[1], "fdset-id": 5}
    sets.add(fds[2], 5, "y")
    assert sets.add(fds[3])["fdset-id"] == 1
    assert sets.query() == [
        {"fdset-id": 5, "fds": [{"fd": fds[1], "opaque": "x"}, {"fd": fds[2], "opaque": "y"}]},
        {"fdset-id": 1, "fds": [{"fd": fds[3]}]},
        {"fdset-id": 0, "fds": [{"fd": fds[0]}]},
    ]
    sets.remove(0)
    assert sets.add(fds[4])["fdset-id"] == 0


def test_a_set_with_a_negative_number_is_refused_and_the_descriptor_closed(sets: FdSets, ends: Ends) -> None:
    with pytest.raises(QMPError, match="Parameter 'fdset-id' expects a non-negative value"):
        sets.add(ends.reading, -1)
    assert not is_open(ends.reading)


@pytest.mark.parametrize(
    ("fdset_id", "fd", "named"),
    [(99, None, "fdset-id:99"), (-2, None, "fdset-id:-2"), (5, 12345, "fdset-id:5, fd:12345")],
)
def test_removing_what_is_not_there_is_refused(
    sets: FdSets, ends: Ends, fdset_id: int, fd: int | None, named: str
) -> None:
    sets.add(ends.reading, 5)
    with pytest.raises(QMPError, match=f"File descriptor named '{named}' not found"):
        sets.remove(fdset_id, fd)


def test_a_set_goes_with_its_last_descriptor(sets: FdSets, ends: Ends) -> None:
    sets.add(ends.reading, 5)
    sets.add(ends.writing, 5)
    sets.remove(5, ends.reading)
    assert sets.query() == [{"fdset-id": 5, "fds": [{"fd": ends.writing}]}]
    sets.remove(5)
    assert sets.query() == []
    assert not is_open(ends.writing)


def test_a_duplicate_has_the_access_mode_that_is_asked_for(sets: FdSets, ends: Ends) -> None:
    sets.add(ends.reading, 5)
    sets.add(ends.writing, 5)
    with os.fdopen(sets.dup(5, os.O_WRONLY | os.O_CLOEXEC), "wb") as writing:
        writing.write(b"x")
    assert os.read(ends.reading, 1) == b"x"


@pytest.mark.parametrize(("fdset_id", "error"), [(6, errno.ENOENT), (5, errno.EACCES)])
def test_a_duplicate_that_cannot_be_had_is_an_os_error(
    sets: FdSets, ends: Ends, fdset_id: int, error: int
) -> None:
    sets.add(ends.reading, 5)
    with pytest.raises(OSError) as raised:  # noqa: PT011 - its errno is checked
        sets.dup(fdset_id, os.O_RDWR)
    assert raised.value.errno == error


def test_a_set_that_was_opened_stays_when_the_last_client_leaves(sets: FdSets, ends: Ends) -> None:
    sets.client_came()
    sets.add(ends.reading, 1)
    sets.add(ends.writing, 2)
    os.close(sets.dup(1, os.O_RDONLY))
    sets.client_left()
    assert [each["fdset-id"] for each in sets.query()] == [1]
