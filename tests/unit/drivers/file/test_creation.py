"""Files are made for images, and never out of one that is in use."""

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from qmpserver.driver_api.permissions import Permission, PermissionSet
from qmpserver.drivers.file import creation
from qmpserver.drivers.file.creation import FileCreation, create_file
from qmpserver.drivers.file.locks import make_lock
from qmpserver.errors import QMPError


def make(filename: Path | str, **options: Any) -> None:
    create_file(FileCreation.parse({"filename": str(filename), "size": 1000, **options}))


def test_a_file_is_new_or_loses_its_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    make(path)
    assert path.read_bytes() == bytes(1000)
    path.write_bytes(b"x" * 5000)
    make(path, preallocation="full")
    assert path.read_bytes() == bytes(1000)


def test_a_file_in_use_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        lock = make_lock(file.fileno(), "auto")
        assert lock is not None
        lock.acquire(PermissionSet(Permission.CONSISTENT_READ, ~Permission.WRITE))
        with pytest.raises(QMPError, match='Failed to get "write" lock'):
            make(path)
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize("hint", [-1, 1 << 32, (1 << 64) - 1])
def test_a_hint_that_is_too_large_is_refused(hint: int) -> None:
    with pytest.raises(QMPError, match="Extent size hint is too large"):
        FileCreation.parse({"filename": "file", "size": 0, "extent-size-hint": hint})


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(QMPError, match=f"Could not create '{tmp_path}/nix/file': No such file or directory"):
        make(tmp_path / "nix/file")


def test_the_file_system_is_asked_what_was_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may know neither; what it was told is what `chattr +C` and `xfs_io extsize` tell it."""
    told: list[tuple[int, bytes]] = []

    def ioctl(_fd: int, request: int, argument: bytes) -> bytes:
        told.append((request, argument))
        return bytes(len(argument))

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    make(tmp_path / "file", nocow=True, **{"extent-size-hint": 1 << 20})
    requests = dict(told)
    assert requests[creation._FLAGS_SET] == (0x800000).to_bytes(8, "little")
    assert requests[creation._ATTRIBUTES_SET][:8] == (0x800).to_bytes(4, "little") + (1 << 20).to_bytes(
        4, "little"
    )
    told.clear()
    make(tmp_path / "file", **{"extent-size-hint": 0})
    assert told == []
    assert os.path.getsize(tmp_path / "file") == 1000
