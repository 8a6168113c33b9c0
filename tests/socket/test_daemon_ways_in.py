"""The ways by which clients come in to the storage daemon."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.socket.process import TIMEOUT_S, Client, DaemonProcess


def negotiated(connection: socket.socket) -> bool:
    with Client(connection) as client:
        return "QMP" in client.greeting


def listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    listener.settimeout(TIMEOUT_S)
    return listener


CHARDEV_FORMS = [
    ["--chardev", "socket,id=c,path=s,server=on,wait=off", "--monitor", "c"],
    ["--chardev", "socket,id=c,path=s,server=on,wait=off", "--monitor", "chardev=c,mode=control"],
    ["--qmp", "unix:s"],
    ["--qmp", "unix:s,server=on,wait=off"],
]


@pytest.mark.parametrize("words", CHARDEV_FORMS)
def test_by_a_unix_socket(words: list[str], tmp_path: Path) -> None:
    with DaemonProcess(*words, folder=tmp_path), Client.at(tmp_path / "s") as client:
        assert client.execute("query-version")["return"]["qemu"]["major"] == 11


def test_by_two_sockets_at_once(tmp_path: Path) -> None:
    with (
        DaemonProcess("--qmp", "unix:s", "--qmp", "unix:t", folder=tmp_path),
        Client.at(tmp_path / "s") as first,
        Client.at(tmp_path / "t") as second,
    ):
        assert first.greeting == second.greeting


def test_by_an_abstract_socket(tmp_path: Path) -> None:
    name = f"{tmp_path}/abstract"
    with DaemonProcess("--qmp", f"unix:{name},abstract=on", folder=tmp_path), Client.at("\0" + name):
        assert sorted(os.listdir(tmp_path)) == ["notify"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port: int = holder.getsockname()[1]
        return port


def test_by_tcp(tmp_path: Path) -> None:
    port = free_port()
    with DaemonProcess("--qmp", f"tcp:127.0.0.1:{port}", folder=tmp_path):
        assert negotiated(socket.create_connection(("127.0.0.1", port)))


def test_by_standard_input_and_output(tmp_path: Path) -> None:
    with DaemonProcess("--qmp", "stdio", folder=tmp_path) as daemon:
        stdin, stdout = daemon.process.stdin, daemon.process.stdout
        assert stdin is not None
        assert stdout is not None
        assert "QMP" in json.loads(stdout.readline())
        stdin.write(b'{"execute": "qmp_capabilities"} {"execute": "quit"}')
        stdin.flush()
        assert [json.loads(stdout.readline()) for _ in range(2)] == [{"return": {}}] * 2
        assert daemon.end() == (0, "")


def test_by_a_passed_listening_socket(tmp_path: Path) -> None:
    with listening(tmp_path / "s") as listener:
        number = listener.fileno()
        daemon = DaemonProcess("--qmp", f"fd:{number}", folder=tmp_path, pass_fds=[number])
        with daemon, Client.at(tmp_path / "s"), Client.at(tmp_path / "s") as second:
            assert second.execute("query-version")["return"]["qemu"]["major"] == 11


def test_by_a_passed_connected_socket(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with theirs, DaemonProcess("--qmp", f"fd:{theirs.fileno()}", folder=tmp_path, pass_fds=[theirs.fileno()]):
        assert negotiated(ours)


def test_by_a_chardevs_passed_socket(tmp_path: Path) -> None:
    with listening(tmp_path / "s") as listener:
        number = listener.fileno()
        words = ["--chardev", f"socket,id=c,fd={number},server=on,wait=off", "--monitor", "c"]
        with DaemonProcess(*words, folder=tmp_path, pass_fds=[number]), Client.at(tmp_path / "s") as client:
            assert "QMP" in client.greeting


def test_by_the_sockets_of_a_service_manager(tmp_path: Path) -> None:
    with listening(tmp_path / "s") as first, listening(tmp_path / "t") as second:
        numbers = (first.fileno(), second.fileno())
        activate = f'exec env LISTEN_PID=$$ LISTEN_FDS=2 "$@" 3<&{numbers[0]} 4<&{numbers[1]}'
        daemon = DaemonProcess(
            "--qmp", "systemd", folder=tmp_path, pass_fds=numbers, launcher=["bash", "-c", activate, "bash"]
        )
        with daemon, Client.at(tmp_path / "s") as one, Client.at(tmp_path / "t") as other:
            assert one.greeting == other.greeting


def test_connecting_to_a_client_that_listens(tmp_path: Path) -> None:
    with (
        listening(tmp_path / "s") as listener,
        DaemonProcess("--chardev", "socket,id=c,path=s", "--monitor", "c", folder=tmp_path),
    ):
        connection, _ = listener.accept()
        assert negotiated(connection)


def test_waiting_for_the_first_client_before_anything_else(tmp_path: Path) -> None:
    words = [
        "--chardev",
        "socket,id=c,path=s,server=on",
        "--monitor",
        "c",
        "--blockdev",
        "null-co,node-name=n",
    ]
    with DaemonProcess(*words, folder=tmp_path, waits_for_ready=False) as daemon:
        assert daemon.process.stderr is not None
        assert daemon.process.stderr.readline() == (
            b"qmpserver: --chardev socket,id=c,path=s,server=on: info: "
            b"QEMU waiting for connection on: disconnected:unix:s,server=on\n"
        )
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(tmp_path / "s"))
        assert daemon.notification() == f"READY=1\nMAINPID={daemon.process.pid}"
        assert negotiated(connection)


def test_waiting_ends_by_a_signal_too(tmp_path: Path) -> None:
    words = ["--chardev", "socket,id=c,path=s,server=on", "--monitor", "c"]
    with DaemonProcess(*words, folder=tmp_path, waits_for_ready=False) as daemon:
        assert daemon.process.stderr is not None
        daemon.process.stderr.readline()
        assert daemon.end(signal.SIGTERM) == (0, "")
    assert os.listdir(tmp_path) == []


def test_a_null_chardev_has_no_clients_and_is_no_fault(tmp_path: Path) -> None:
    with DaemonProcess("--chardev", "null,id=c", "--monitor", "c", folder=tmp_path) as daemon:
        assert daemon.end(signal.SIGTERM) == (0, "")


def test_pretty_messages_are_indented(tmp_path: Path) -> None:
    chardev = "socket,id=c,path=s,server=on,wait=off"
    with (
        DaemonProcess("--chardev", chardev, "--monitor", "c,pretty=on", folder=tmp_path),
        socket.socket(socket.AF_UNIX) as connection,
    ):
        connection.connect(str(tmp_path / "s"))
        with connection.makefile("rb") as lines:
            assert [lines.readline() for _ in range(2)] == [b"{\r\n", b'    "QMP": {\r\n']
