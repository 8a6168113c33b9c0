"""A node as a file in the file system: other programs use it as any file."""

import contextlib
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images import make_qcow2
from tests.peers import need
from tests.socket.process import Client, DaemonProcess

MIB = 1 << 20
SIZE = 8 * MIB


def can_mount() -> bool:
    """Say whether /dev/fuse can be opened, by somebody who may cover files."""
    with contextlib.suppress(OSError):
        os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
        return os.geteuid() == 0
    return False


pytest.importorskip("mfusepy")
pytestmark = pytest.mark.skipif(not can_mount(), reason="/dev/fuse cannot be opened, or files not be covered")


@contextlib.contextmanager
def daemon(folder: Path, *exports: str) -> Iterator[DaemonProcess]:
    """Run a server that shows the node `n`, and end it in good order, so that nothing stays covered."""
    words = ["--chardev", "socket,id=c,path=qmp.sock,server=on,wait=off", "--monitor", "c"]
    image = "file.driver=file,file.filename=served.qcow2"
    words += ["--blockdev", f"driver=qcow2,node-name=n,discard=unmap,{image}"]
    for export in exports:
        words += ["--export", f"type=fuse,node-name=n,{export}"]
    with DaemonProcess(*words, folder=folder) as running:
        try:
            yield running
        finally:
            running.end(signal.SIGTERM)
            assert str(folder) not in Path("/proc/mounts").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_qcow2(tmp_path / "served.qcow2", str(SIZE))
    for name in ("a", "b", "in"):
        (tmp_path / name).touch()
    return tmp_path


def test_what_is_written_through_one_file_is_read_through_another_and_in_the_image(folder: Path) -> None:
    data = random.Random(1).randbytes(3 * MIB) + bytes(2 * MIB) + random.Random(2).randbytes(3 * MIB)
    (folder / "in").write_bytes(data)
    with daemon(folder, "id=a,mountpoint=a,writable=on", "id=b,mountpoint=b"):
        subprocess.run(
            ["dd", f"if={folder / 'in'}", f"of={folder / 'a'}", "bs=1M", "conv=notrunc,fsync,sparse"],
            check=True,
            capture_output=True,
        )
        assert (folder / "b").read_bytes() == data
        with (folder / "a").open("r+b") as file:
            assert os.lseek(file.fileno(), 0, os.SEEK_HOLE) == 3 * MIB
            assert os.lseek(file.fileno(), 3 * MIB, os.SEEK_DATA) == 5 * MIB
        with pytest.raises(OSError, match="Read-only"):
            (folder / "b").open("r+b")
    # The server has ended: what was covered shows again.
    assert (folder / "a").stat().st_size == 0
    image = str(folder / "served.qcow2")
    subprocess.run([need("qemu-img"), "check", "-q", image], check=True)
    formats = ["-f", "raw", "-F", "qcow2"]
    subprocess.run([need("qemu-img"), "compare", "-q", *formats, str(folder / "in"), image], check=True)


def test_a_server_does_not_wait_for_itself(folder: Path) -> None:
    """An image may be covered by its own content; but this server cannot open what it would have to answer for."""
    image = str(folder / "served.qcow2")
    with daemon(folder), Client.at(folder / "qmp.sock") as client:
        export = {"type": "fuse", "id": "e", "node-name": "n", "writable": True, "mountpoint": image}
        assert client.execute("block-export-add", **export) == {"return": {}}
        file = {"driver": "file", "filename": image}
        refused = client.execute("blockdev-add", **{"driver": "raw", "node-name": "r", "file": file})
        assert refused["error"]["desc"] == f"Could not open '{image}': Resource deadlock avoided"
        # Relative names still lead from where the server was started.
        file = {"driver": "file", "filename": "in", "node-name": "i"}
        assert client.execute("blockdev-add", **file) == {"return": {}}
        assert os.stat(image).st_size == SIZE


def test_an_export_that_is_unmounted_from_outside_is_gone(folder: Path) -> None:
    with daemon(folder, "id=a,mountpoint=a"), Client.at(folder / "qmp.sock") as client:
        subprocess.run(["umount", folder / "a"], check=True)
        while (message := client.receive()).get("event") != "BLOCK_EXPORT_DELETED":
            pass
        assert message["data"] == {"id": "a"}
        assert client.execute("query-block-exports") == {"return": []}


def test_a_signal_still_ends_the_server(folder: Path) -> None:
    with daemon(folder, "id=a,mountpoint=a") as running:
        held = (folder / "a").open("rb")
        assert running.end(signal.SIGTERM)[0] == 0
        with pytest.raises(OSError, match="not connected"):
            os.pread(held.fileno(), 1, 0)
        with contextlib.suppress(OSError):
            held.close()
