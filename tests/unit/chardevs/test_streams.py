"""Chardevs open files, also those that a client or the program's parent has opened."""

import asyncio
import os
from pathlib import Path

import pytest

from qmpserver.chardevs.store import ChardevStore
from qmpserver.chardevs.streams import FileChardev
from qmpserver.errors import QMPError
from qmpserver.monitor.fds import FdSets


def opened(chardev: FileChardev, fd_sets: FdSets | None = None) -> int:
    """Open a chardev, write to it, close it; return how many descriptors it had."""
    store = ChardevStore(fd_sets.dup if fd_sets is not None else None)
    asyncio.run(store.add(chardev))
    count = len(chardev.fds)
    os.write(chardev.fds[1], b"new")
    store.close()
    return count


def test_a_file_is_made_anew_or_added_to(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old old")
    opened(FileChardev("c", str(file), append=True))
    assert file.read_bytes() == b"old oldnew"
    opened(FileChardev("c", str(file)))
    assert file.read_bytes() == b"new"


def test_a_file_may_be_one_that_was_passed(tmp_path: Path) -> None:
    fd_sets = FdSets()
    file = tmp_path / "file"
    fd_sets.add(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND), 4)
    opened(FileChardev("c", "/dev/fdset/4", append=True), fd_sets)
    assert file.read_bytes() == b"new"
    fd_sets.close()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/dev/fdset/5", "No such file or directory"),
        ("/dev/fdset/4", "Permission denied"),
        ("/dev/fdset/x", "No such file or directory"),
    ],
)
def test_a_passed_file_that_is_not_there_or_cannot_be_written_is_refused(
    name: str, why: str, tmp_path: Path
) -> None:
    fd_sets = FdSets()
    fd_sets.add(os.open(tmp_path, os.O_RDONLY), 4)
    with pytest.raises(QMPError, match=f"^Could not open '{name}': {why}$"):
        opened(FileChardev("c", name), fd_sets)
    fd_sets.close()
