"""A machine is started as orchestrators start the system emulator, lives, and ends."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.images import make_qcow2
from tests.peers import need, qmp_connection
from tests.socket.process import OURS, TIMEOUT_S, Client, DaemonProcess, environment, run_to_end

MONITOR = "-chardev socket,id=m,path=monitor.sock,server=on,wait=off -mon chardev=m,mode=control"
QUIET = ("-display", "none", "-nodefaults", "-no-user-config")


def machine(*words: str, folder: Path, pass_fds: Sequence[int] = ()) -> DaemonProcess:
    return DaemonProcess(*QUIET, *words, folder=folder, pass_fds=pass_fds, door=["machine"])


def listening(folder: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "monitor.sock"))
    listener.listen(1)
    return listener


def monitored(folder: Path, *words: str) -> DaemonProcess:
    return machine(*words, *MONITOR.split(), folder=folder)


def test_its_monitor_may_be_a_socket_that_listens_already(tmp_path: Path) -> None:
    with listening(tmp_path) as listener:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(listener.getsockname())
        words = ["-S", "-chardev", f"socket,id=m,fd={listener.fileno()},server=on,wait=off"]
        words += ["-mon", "chardev=m,id=monitor,mode=control"]
        with (
            machine(*words, folder=tmp_path, pass_fds=[listener.fileno()]) as started,
            Client(connection) as client,
        ):
            assert client.greeting["QMP"]["version"]["qemu"]["major"] == 11
            status = client.execute("query-status")
            assert status == {"return": {"running": False, "status": "prelaunch"}}
            started.process.send_signal(signal.SIGTERM)
            event = client.receive()
            assert (event["event"], event["data"]) == ("SHUTDOWN", {"guest": False, "reason": "host-signal"})
            assert started.end() == (0, "")


def test_a_probe_that_goes_to_the_background_lets_go_of_its_parents_pipes(tmp_path: Path) -> None:
    line = "-S -no-user-config -nodefaults -nographic -machine none,accel=kvm:tcg -daemonize"
    done = subprocess.run(
        [*OURS, "machine", *line.split(), "-qmp", "unix:qmp.sock,server=on,wait=off", "-pidfile", "pid"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    pid = int((tmp_path / "pid").read_text())
    ended = os.pidfd_open(pid)
    try:
        with Client.at(tmp_path / "qmp.sock") as client:
            assert client.execute("query-target") == {"return": {"arch": "x86_64"}}
            assert client.execute("query-cpus-fast") == {"return": []}
            kvm = client.execute("query-kvm")["return"]
            assert kvm["enabled"] is kvm["present"] is os.access("/dev/kvm", os.R_OK | os.W_OK)
            client.send(b'{"execute": "quit"}')
            assert client.receive()["event"] == "SHUTDOWN"
    finally:
        signal.pidfd_send_signal(ended, signal.SIGTERM)
        os.close(ended)


def test_it_runs_unless_it_is_told_to_wait(tmp_path: Path) -> None:
    with monitored(tmp_path), Client.at(tmp_path / "monitor.sock") as client:
        assert client.execute("query-status")["return"]["status"] == "running"


def test_a_reboot_may_leave_it_shut_down(tmp_path: Path) -> None:
    with monitored(tmp_path, "-no-reboot", "-no-shutdown"), Client.at(tmp_path / "monitor.sock") as client:
        client.send(b'{"execute": "system_reset"}')
        messages = [client.receive() for _ in range(3)]
        assert [message.get("event") for message in messages] == ["SHUTDOWN", "STOP", None]
        assert client.execute("query-status")["return"] == {"running": False, "status": "shutdown"}


def test_passed_descriptors_are_put_in_sets_and_the_others_stay_open(tmp_path: Path) -> None:
    make_qcow2(tmp_path / "disk", "1M")
    image = os.open(tmp_path / "disk", os.O_RDWR)
    reader, writer = os.pipe()
    node = {"driver": "qcow2", "node-name": "n", "file": {"driver": "file", "filename": "/dev/fdset/3"}}
    words = [
        "-add-fd", f"fd={image},set=3,opaque=rw:disk", "-blockdev", json.dumps(node),
        "-netdev", f"tap,fd={writer},id=net", "-device", "virtio-net-pci,netdev=net",
        "-chardev", "socket,id=m,path=monitor.sock,server=on,wait=off", "-mon", "m,mode=control",
    ]  # fmt: skip
    with machine(*words, folder=tmp_path, pass_fds=[image, writer]) as started:
        os.close(writer)
        with Client.at(tmp_path / "monitor.sock") as client:
            (fdset,) = client.execute("query-fdsets")["return"]
            assert (fdset["fdset-id"], fdset["fds"][0]["opaque"]) == (3, "rw:disk")
            (found,) = client.execute("query-named-block-nodes", flat=True)["return"][:1]
            assert found["node-name"] == "n"
        assert os.path.samestat(os.stat(f"/proc/{started.process.pid}/fd/{writer}"), os.fstat(reader))
    os.close(reader)
    os.close(image)


@pytest.mark.parametrize("board", ["pc-i440fx-7.2", "pc-q35-7.2"])
def test_it_has_the_disk_that_its_orchestrator_names(board: str, tmp_path: Path) -> None:
    make_qcow2(tmp_path / "disk", "1M")
    bus = "pci.0" if "i440fx" in board else "pcie.0"
    memory = {"qom-type": "memory-backend-ram", "id": "pc.ram", "size": 64 << 20}
    storage = {
        "driver": "file",
        "filename": "disk",
        "node-name": "s",
        "auto-read-only": True,
        "discard": "unmap",
    }
    disk = {"node-name": "f", "read-only": False, "driver": "qcow2", "file": "s"}
    device = {"driver": "virtio-blk-pci", "bus": bus, "addr": "0x2", "drive": "f", "id": "d", "bootindex": 1}
    words = [
        "-name", "guest=x,debug-threads=on", "-S", "-machine", f"{board},usb=off,memory-backend=pc.ram", "-accel", "tcg",
        "-cpu", "qemu64", "-m", "64", "-object", json.dumps(memory), "-overcommit", "mem-lock=off",
        "-smp", "1,sockets=1,cores=1,threads=1", "-uuid", "11111111-2222-3333-4444-555555555555", "-rtc", "base=utc",
        "-no-shutdown", "-boot", "strict=on", "-blockdev", json.dumps(storage), "-blockdev", json.dumps(disk),
        "-device", json.dumps(device), "-audiodev", json.dumps({"id": "audio1", "driver": "none"}),
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", "-msg", "timestamp=on",
    ]  # fmt: skip
    with monitored(tmp_path, *words), Client.at(tmp_path / "monitor.sock") as client:
        (block,) = client.execute("query-block")["return"]
        assert (block["qdev"], block["inserted"]["node-name"]) == (
            "/machine/peripheral/d/virtio-backend",
            "f",
        )
        assert client.execute("query-name") == {"return": {"name": "x"}}
        assert client.execute("query-uuid")["return"]["UUID"].startswith("11111111-")
        assert client.execute("query-memory-size-summary")["return"]["base-memory"] == 64 << 20
        assert [memdev["id"] for memdev in client.execute("query-memdev")["return"]] == ["pc.ram"]
        assert client.execute("query-audiodevs") == {"return": [{"id": "audio1", "driver": "none"}]}


def test_options_may_come_from_a_file_and_be_added_to(tmp_path: Path) -> None:
    lines = [
        "# a machine",
        "[machine]",
        'type = "q35"',
        "[smp-opts]",
        'cpus = "2"',
        '[device "rng"]',
        'driver = "virtio-rng-pci"',
    ]
    (tmp_path / "config").write_text("\n".join(lines))
    words = ["-readconfig", "config", "-set", "device.rng.max-bytes=7"]
    with monitored(tmp_path, *words), Client.at(tmp_path / "monitor.sock") as client:
        assert len(client.execute("query-cpus-fast")["return"]) == 2
        found = client.execute("qom-get", path="/machine/peripheral/rng", property="max-bytes")
        assert found == {"return": 7}


def test_it_has_drives_that_nobody_asked_for_unless_told_not_to(tmp_path: Path) -> None:
    monitor = ["-qmp", "unix:monitor.sock,server=on,wait=off"]
    with (
        DaemonProcess("-display", "none", "-S", *monitor, folder=tmp_path, door=["machine"]),
        Client.at(tmp_path / "monitor.sock") as client,
    ):
        names = [block["device"] for block in client.execute("query-block")["return"]]
        assert names == ["ide1-cd0", "floppy0"]
        labels = {chardev["label"] for chardev in client.execute("query-chardev")["return"]}
        assert labels == {"compat_monitor0", "serial0", "parallel0"}


def test_a_second_machine_on_an_image_is_told_that_another_has_it(tmp_path: Path) -> None:
    make_qcow2(tmp_path / "a.qcow2", "1M")
    words = ("-S", "-drive", "file=a.qcow2,format=qcow2")
    with monitored(tmp_path, *words):
        second = run_to_end("machine", *QUIET, *words, folder=tmp_path)
    assert (second.returncode, second.stderr) == (
        1,
        (
            'qmpserver: -drive file=a.qcow2,format=qcow2: Failed to get "write" lock\n'
            "Is another process using the image [a.qcow2]?\n"
        ),
    )


def test_a_machine_that_was_killed_leaves_its_image_to_the_next(tmp_path: Path) -> None:
    make_qcow2(tmp_path / "a.qcow2", "1M")
    words = ("-S", "-drive", "file=a.qcow2,format=qcow2", "-pidfile", "pid")
    for _ in range(2):
        with monitored(tmp_path, *words) as started:
            started.end(signal.SIGKILL)


def test_a_person_is_told_of_a_terminal_and_of_a_format_that_was_guessed(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(1 << 20))
    words = ("-S", "-chardev", "pty,id=c", "-drive", "file=a.raw")
    with monitored(tmp_path, *words) as started:
        started.process.terminate()
        out, complaints = started.process.communicate(timeout=TIMEOUT_S)
    assert re.fullmatch(rb"char device redirected to /dev/pts/\d+ \(label c\)\n", out)
    assert complaints.startswith(
        b"WARNING: Image format was not specified for 'a.raw' and probing guessed raw.\n"
    )


WAYS_IN: dict[str, dict[str, bool]] = {
    "-serial null -serial null -parallel null": {"serial0": True, "serial1": True, "parallel0": True},
    "-serial none -serial null -parallel none -parallel null": {"serial1": True, "parallel0": True},
    " ".join(5 * ["-serial null"]): {f"serial{number}": number < 4 for number in range(5)},
    "-chardev null,id=compat_monitor1 -mon compat_monitor1 -monitor null": {
        "compat_monitor0": True,
        "compat_monitor1": True,
    },
    "-chardev null,id=a -device virtio-serial -device virtserialport,chardev=a -chardev null,id=b": {
        "a": False,
        "b": False,
    },
}
"""Options, and the chardevs that they make by label: whether somebody is there who takes what comes."""


def ways_in(reply: dict[str, Any]) -> dict[str, bool]:
    return {chardev["label"]: chardev["frontend-open"] for chardev in reply["return"]}


@pytest.mark.parametrize(("line", "made"), WAYS_IN.items())
def test_ways_in_are_counted_as_qemu_counts_them(line: str, made: dict[str, bool], tmp_path: Path) -> None:
    words = [*line.split(), "-S", "-machine", "pc"]
    with monitored(tmp_path, *words), Client.at(tmp_path / "monitor.sock") as client:
        assert ways_in(client.execute("query-chardev")) == {"m": True, **made}
    theirs = subprocess.Popen(
        [need("qemu-system-x86_64"), *QUIET, *words, *MONITOR.replace("monitor.sock", "theirs.sock").split()],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with qmp_connection(str(tmp_path / "theirs.sock")) as (connection, lines, _greeting):
            connection.sendall(b'{"execute":"qmp_capabilities"}{"execute":"query-chardev"}')
            lines.readline()
            assert ways_in(json.loads(lines.readline())) == {"m": True, **made}
    finally:
        theirs.kill()
        theirs.wait()
