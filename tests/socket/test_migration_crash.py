"""Whoever of two machines is killed, and whenever: the other one has the image, sound and whole, or says that it has not."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images import make_qcow2, qemu_check, qemu_io
from tests.socket.process import TIMEOUT_S, Client, DaemonProcess

QUIET = "-display none -nodefaults -no-user-config -chardev socket,id=m,path=qmp,server=on,wait=off"
DISK = "driver=qcow2,node-name=disk,file.driver=file,file.filename=../disk.qcow2"
WORDS = [*QUIET.split(), "-mon", "chardev=m,mode=control", "-blockdev", DISK]
WORDS += ["-device", "virtio-blk-pci,drive=disk"]

CONTINUE = b'{"execute": "migrate-continue", "arguments": {"state": "pre-switchover"}}'


class Side:
    """One of the two.

    Attributes:
        process: It.
        client: A client of it.
    """

    def __init__(self, process: DaemonProcess, client: Client) -> None:
        self.process = process
        self.client = client

    def until(self, word: str) -> str:
        """Wait for the status of a migration, or for its end in failure; return which came."""
        while True:
            message = self.client.receive()
            status = message.get("data", {}).get("status", message.get("event"))
            if status in (word, "failed"):
                return str(status)

    def status(self) -> str:
        """Return the run state."""
        reply = self.client.execute("query-status")
        return str(reply["return"]["status"])

    def kill(self) -> None:
        """Kill it in the middle of whatever it does."""
        self.process.process.send_signal(signal.SIGKILL)
        self.process.process.wait(TIMEOUT_S)


@contextlib.contextmanager
def side(folder: Path, *words: str) -> Iterator[Side]:
    """Start one of the two, which tells of its migration."""
    folder.mkdir()
    with DaemonProcess(*WORDS, *words, folder=folder, door=["machine"]) as process:
        client = Client.at(os.path.relpath(folder / "qmp"))
        with client:
            names = ("events", "pause-before-switchover", "dirty-bitmaps")
            wanted = [{"capability": name, "state": True} for name in names]
            assert client.execute("migrate-set-capabilities", capabilities=wanted) == {"return": {}}
            yield Side(process, client)


def check_source_alone(source: Side) -> None:
    """See whether the source has the machine again, or can have it."""
    if source.until("completed") == "failed":
        # It goes on by itself, which is told before that.
        assert source.status() == "running"
    else:
        assert source.status() == "postmigrate"
        assert source.client.execute("cont") == {"return": {}}


def check_target_alone(target: Side) -> None:
    """See whether the target has the machine, or has given up."""
    if target.until("completed") == "failed":
        status, complaints = target.process.end()
        assert status == 1
        assert "load of migration failed: " in complaints
    else:
        assert target.status() == "running"


@pytest.mark.parametrize("moment", ["waiting", "under way", "done"])
@pytest.mark.parametrize("victim", ["source", "target"])
def test_one_of_two_machines_is_killed(
    victim: str, moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    image = make_qcow2(tmp_path / "disk.qcow2", "1M")
    qemu_io(image, "write -P 1 0 1M")
    with side(tmp_path / "a") as source, side(tmp_path / "b", "-incoming", "unix:../m") as target:
        source.client.execute("block-dirty-bitmap-add", node="disk", name="b", persistent=True)
        assert source.client.execute("migrate", uri="unix:../m") == {"return": {}}
        assert source.until("pre-switchover") == "pre-switchover"
        if moment != "waiting":
            source.client.send(CONTINUE)
        if moment == "done":
            assert source.until("completed") == target.until("completed") == "completed"
        (source if victim == "source" else target).kill()
        if moment == "done":
            assert (source if victim == "target" else target).status() in ("running", "postmigrate")
        elif victim == "source":
            check_target_alone(target)
        else:
            if moment == "waiting":
                source.client.send(CONTINUE)
            check_source_alone(source)
    assert qemu_check(image) == {}
    qemu_io(image, "read -P 1 0 1M")
