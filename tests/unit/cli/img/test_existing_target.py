"""Images that are made in what is there already, because its protocol makes nothing new."""

from pathlib import Path

import pytest

from tests.peers import nbd_peer
from tests.unit.cli.img.disks import UNIT, img


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Make the file that is exported."""
    path = tmp_path / "disk.raw"
    path.write_bytes(b"o" * (8 * UNIT))
    return path


def test_a_disk_is_converted_to_an_export_of_its_size(disk: Path, tmp_path: Path) -> None:
    source, socket = tmp_path / "source.raw", tmp_path / "socket"
    source.write_bytes(bytes(UNIT) + b"x" * UNIT + bytes(6 * UNIT))
    with nbd_peer("qemu-nbd", "-t", "-f", "raw", "-k", socket, disk, path=socket):
        target = f"nbd:unix:{socket}"
        assert img("convert", "-f", "raw", "-O", "raw", source, target) == 0
        assert img("compare", "-f", "raw", "-F", "raw", source, target) == 0
    assert disk.read_bytes() == source.read_bytes()


def test_an_image_is_made_in_an_export(disk: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    socket = tmp_path / "socket"
    with nbd_peer("qemu-nbd", "-t", "-f", "raw", "-k", socket, disk, path=socket):
        assert img("create", "-q", "-f", "qcow2", f"nbd:unix:{socket}", "4M") == 0
        assert img("create", "-q", "-f", "raw", f"nbd:unix:{socket}", "256k") == 0
        capfd.readouterr()
        assert img("create", "-q", "-f", "raw", f"nbd:unix:{socket}", "1G") == 1
        assert capfd.readouterr().err == f"qmpserver img: nbd:unix:{socket}: Cannot grow NBD nodes\n"


def test_where_nobody_listens_that_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert img("create", "-q", "-f", "raw", f"nbd:unix:{tmp_path / 'none'}", "1M") == 1
    assert "opening the given target as an existing image failed" in capfd.readouterr().err
