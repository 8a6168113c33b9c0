"""The storage daemon as a process: how it starts, how it says so, and how it ends."""

import json
import os
import select
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from tests.socket.process import TIMEOUT_S, Client, DaemonProcess, run_to_end

NODE = ["--blockdev", "null-co,node-name=disk"]
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("signal_number", SIGNALS)
def test_a_signal_ends_it_in_order(signal_number: int, tmp_path: Path) -> None:
    with DaemonProcess(*NODE, "--qmp", "unix:s", "--pidfile", "pid", folder=tmp_path) as daemon:
        assert (tmp_path / "pid").read_text() == f"{daemon.process.pid}\n"
        with Client.at(tmp_path / "s") as client:
            daemon.process.send_signal(signal_number)
            assert client.is_closed_by_server()
        assert daemon.notification() == "STOPPING=1"
        assert daemon.end() == (0, "")
    assert os.listdir(tmp_path) == []


def test_quit_ends_it_in_order(tmp_path: Path) -> None:
    with DaemonProcess(*NODE, "--qmp", "unix:s", "--pidfile", "pid", folder=tmp_path) as daemon:
        with Client.at(tmp_path / "s") as client:
            assert client.execute("quit") == {"return": {}}
            assert client.is_closed_by_server()
        assert daemon.end() == (0, "")
    assert os.listdir(tmp_path) == []


def test_options_are_carried_out_in_order(tmp_path: Path) -> None:
    raw = "raw,node-name=top,file=disk"
    with (
        DaemonProcess(*NODE, "--blockdev", raw, "--qmp", "unix:s", folder=tmp_path),
        Client.at(tmp_path / "s") as client,
    ):
        nodes = client.execute("query-named-block-nodes", flat=True)["return"]
    assert {node["node-name"] for node in nodes} == {"disk", "top"}
    assert run_to_end("--blockdev", raw, *NODE, folder=tmp_path).returncode == 1


def test_a_wrong_option_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run_to_end("--qmp", "unix:s", "--pidfile", "pid", "--blockdev", "x", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "qmpserver: --blockdev x: Parameter 'driver' does not accept value 'x'\n"
    assert os.listdir(tmp_path) == []


def test_a_second_daemon_does_not_take_the_pidfile_of_the_first(tmp_path: Path) -> None:
    with DaemonProcess("--pidfile", "pid", folder=tmp_path) as daemon:
        done = run_to_end("--pidfile", "pid", folder=tmp_path)
        assert done.returncode == 1
        assert (
            done.stderr
            == "qmpserver: cannot create PID file: Cannot lock pid file: Resource temporarily unavailable\n"
        )
        assert (tmp_path / "pid").read_text() == f"{daemon.process.pid}\n"


def test_what_a_killed_daemon_left_is_taken_over(tmp_path: Path) -> None:
    words = [*NODE, "--qmp", "unix:s", "--pidfile", "pid"]
    with DaemonProcess(*words, folder=tmp_path) as daemon:
        assert daemon.end(signal.SIGKILL) == (-signal.SIGKILL, "")
    assert sorted(os.listdir(tmp_path)) == ["pid", "s"]
    with DaemonProcess(*words, folder=tmp_path) as daemon, Client.at(tmp_path / "s"):
        assert (tmp_path / "pid").read_text() == f"{daemon.process.pid}\n"


def daemonize(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the program with --daemonize; its end is the parent's, since the daemon lets go of the pipes."""
    return run_to_end("--daemonize", "--pidfile", "pid", *words, folder=folder)


def wait_for_end(pidfd: int) -> None:
    """Wait until a process has ended, and close its descriptor."""
    ready, _, _ = select.select([pidfd], [], [], TIMEOUT_S)
    os.close(pidfd)
    assert ready


def test_daemonized_it_is_ready_when_the_parent_ends(tmp_path: Path) -> None:
    done = daemonize(tmp_path, *NODE, "--qmp", "unix:s")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pid = int((tmp_path / "pid").read_text())
    ended = os.pidfd_open(pid)
    with Client.at(tmp_path / "s") as client:
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert {os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)} == {"/dev/null"}
        assert os.getsid(pid) not in {pid, os.getsid(0)}
        assert client.execute("quit") == {"return": {}}
        assert client.is_closed_by_server()
        wait_for_end(ended)
    assert os.listdir(tmp_path) == []


def test_daemonized_it_says_what_is_wrong_before_the_parent_ends(tmp_path: Path) -> None:
    done = daemonize(tmp_path, "--qmp", "unix:s", "--blockdev", "x")
    assert done.returncode == 1
    assert done.stderr == "qmpserver: --blockdev x: Parameter 'driver' does not accept value 'x'\n"
    assert os.listdir(tmp_path) == []


def test_the_socket_is_its_owners_only(tmp_path: Path) -> None:
    with DaemonProcess("--qmp", "unix:s", folder=tmp_path):
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600


def test_traces_go_to_their_file(tmp_path: Path) -> None:
    with DaemonProcess("--trace", "monitor,file=log", "--qmp", "unix:s", folder=tmp_path) as daemon:
        with Client.at(tmp_path / "s") as client:
            client.execute("query-version")
        assert daemon.end(signal.SIGTERM) == (0, "")
    assert "monitor" in (tmp_path / "log").read_text()


def test_help_on_objects_is_given(tmp_path: Path) -> None:
    done = run_to_end("--object", "help", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "List of user creatable objects:",
        "  authz-list",
        "  authz-simple",
        "  iothread",
        "  monitor-qmp",
        "  secret",
        "  throttle-group",
        "  tls-creds-anon",
        "  tls-creds-psk",
        "  tls-creds-x509",
    ]
    done = run_to_end("--object", "secret,help", folder=tmp_path)
    assert done.stdout.splitlines()[0] == "secret options:"
    assert "  format=<QCryptoSecretFormat>" in done.stdout.splitlines()


def test_with_nothing_to_do_it_waits_for_a_signal(tmp_path: Path) -> None:
    with DaemonProcess(folder=tmp_path) as daemon:
        assert daemon.end(signal.SIGTERM) == (0, "")


def test_two_passes_answer_version_before_anything_is_carried_out(tmp_path: Path) -> None:
    done = run_to_end("--blockdev", "x", "--version", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("qmpserver version ")


def test_who_changed_what_is_logged(tmp_path: Path) -> None:
    with DaemonProcess("--qmp", "unix:s", "--log-level", "info", "--log-json", folder=tmp_path) as daemon:
        with Client.at(tmp_path / "s") as client:
            client.execute("query-jobs")
            client.execute("object-add", **{"qom-type": "secret", "id": "s", "data": "never told"})
            client.execute("object-del", id="nothing")
            client.execute("quit")
        status, told = daemon.end()
    assert status == 0
    assert "never told" not in told
    lines = [json.loads(line) for line in told.splitlines()]
    assert [line["command"] for line in lines if line["event"] == "command"] == ["object-add", "quit"]
    assert {(line["uid"], line["pid"]) for line in lines} == {(os.getuid(), os.getpid())}
