"""A machine begins with a snapshot, or not at all."""

from pathlib import Path

from tests.images import make_qcow2, qemu_img
from tests.socket.process import Client, DaemonProcess, run_to_end

QUIET = ["-display", "none", "-nodefaults", "-chardev", "socket,id=m,path=qmp,server=on,wait=off"]
DISK = "driver=qcow2,node-name=disk,file.driver=file,file.filename=disk.qcow2"
WORDS = [*QUIET, "-mon", "chardev=m,mode=control", "-blockdev", DISK, "-device", "virtio-blk-pci,drive=disk"]
WORDS += ["-device", "ide-cd,id=cd"]


def test_a_machine_begins_where_it_was_left(tmp_path: Path) -> None:
    image = make_qcow2(tmp_path / "disk.qcow2", "1M")
    with DaemonProcess(*WORDS, folder=tmp_path, door=["machine"]), Client.at(tmp_path / "qmp") as client:
        client.execute("blockdev-open-tray", id="cd")
        client.execute("snapshot-save", **{"job-id": "j", "tag": "t", "vmstate": "disk", "devices": ["disk"]})
        while client.execute("query-jobs")["return"][0]["status"] != "concluded":
            pass
    words = [*WORDS, "-loadvm", "t"]
    with DaemonProcess(*words, folder=tmp_path, door=["machine"]), Client.at(tmp_path / "qmp") as client:
        (cd,) = [one for one in client.execute("query-block")["return"] if one["qdev"] == "cd"]
        assert cd["tray_open"]
        assert client.execute("query-status")["return"]["status"] == "running"
    # A snapshot that QEMU shows as one with a machine's state.
    assert '"vm-state-size": 0' not in qemu_img("info", "--output=json", image)
    failed = run_to_end("machine", *WORDS, "-loadvm", "nix", folder=tmp_path)
    assert (failed.returncode, failed.stderr) == (
        1,
        "qmpserver: Snapshot 'nix' does not exist in one or more devices\n",
    )
