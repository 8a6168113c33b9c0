"""People type at a machine's monitor: over a socket, and on a terminal."""

import contextlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images import make_qcow2
from tests.socket.process import OURS, TIMEOUT_S, environment

QUIET = ("machine", "-display", "none", "-nodefaults", "-S")
BANNER = b"QEMU 11.1.2 monitor - type 'help' for more information\r\n(qemu) "


class Screen:
    """What is shown to somebody who types at a descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._seen = b""

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def until(self, end: bytes) -> bytes:
        """Return what was shown up to and with some bytes."""
        deadline = time.monotonic() + TIMEOUT_S
        while end not in self._seen:
            assert time.monotonic() < deadline, self._seen
            if select.select([self._fd], [], [], 0.1)[0]:
                data = os.read(self._fd, 1 << 20)
                assert data, self._seen
                self._seen += data
        shown, _, self._seen = self._seen.partition(end)
        return shown + end

    def ends(self) -> bytes:
        """Return the rest, once the other end has gone."""
        with contextlib.suppress(OSError):
            while data := os.read(self._fd, 1 << 20):
                self._seen += data
        return self._seen

    def ask(self, line: str) -> str:
        """Type a line and return the answer."""
        self.type(f"{line}\r")
        self.until(line.encode() + b"\x1b[K\r\n")
        return self.until(b"(qemu) ").removesuffix(b"(qemu) ").decode()


@contextlib.contextmanager
def at_socket(folder: Path, *words: str) -> Iterator[tuple[Screen, subprocess.Popen[bytes]]]:
    path = folder / "monitor.sock"
    command = [*OURS, *QUIET, "-monitor", f"unix:{path},server=on,wait=off", *words]
    process = subprocess.Popen(command, cwd=folder, env=environment(), stdin=subprocess.DEVNULL)
    try:
        with _connected(path, process) as connection:
            yield Screen(connection.fileno()), process
    finally:
        process.kill()
        process.wait()


def _connected(path: Path, process: subprocess.Popen[bytes]) -> socket.socket:
    deadline = time.monotonic() + TIMEOUT_S
    connection = socket.socket(socket.AF_UNIX)
    while True:
        try:
            connection.connect(str(path))
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return connection


def test_somebody_types_lines_over_a_socket(tmp_path: Path) -> None:
    with at_socket(tmp_path, "-blockdev", "null-co,node-name=n") as (screen, process):
        assert screen.until(b"(qemu) ") == BANNER
        assert screen.ask("info status") == "VM status: paused (prelaunch)\r\n"
        screen.type("info nam\tx\x7f\r")
        assert screen.until(b"(qemu) ").endswith(b"info name \x1b[K\r\n(qemu) ")
        screen.type("\x1b[A\x1b[A\r")
        assert screen.until(b"(qemu) ").endswith(
            b"info status\x1b[K\r\nVM status: paused (prelaunch)\r\n(qemu) "
        )
        assert screen.ask("nonsense") == "unknown command: 'nonsense'\r\n"
        screen.type("stop\ncont\ninfo status\n")
        assert screen.until(b"running\r\n(qemu) ").count(b"(qemu) ") == 3
        screen.type("quit\r")
        assert screen.ends() == b"q\x1b[K\x1b[Dqu\x1b[K\x1b[D\x1b[Dqui\x1b[K\x1b[D\x1b[D\x1b[Dquit\x1b[K\r\n"
        assert process.wait(TIMEOUT_S) == 0


def test_much_that_is_typed_at_once_is_worked_off_as_it_is_read(tmp_path: Path) -> None:
    with at_socket(tmp_path) as (screen, process):
        screen.until(BANNER)
        screen.type("x" * 1000 + "\r")
        for _ in range(20):
            screen.type("help\r" * 100)
        assert len(screen.until(b"unknown command: '" + b"x" * 1000 + b"'\r\n(qemu) ")) > 2_000_000
        memory_kib = int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[0])
        assert memory_kib < 150_000
        screen.type("\rquit\r")
        assert screen.ends().count(b"-- describe a command, or all\r\n") == 2000
        assert process.wait(TIMEOUT_S) == 0


def test_what_was_typed_before_the_end_is_carried_out(tmp_path: Path) -> None:
    command = [*OURS, *QUIET, "-monitor", "stdio"]
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(),
        input=b"info status\nquit\n",
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    assert b"VM status: paused (prelaunch)\r\n" in ended.stdout


def test_each_person_has_a_line_and_a_history(tmp_path: Path) -> None:
    with at_socket(tmp_path) as (one, process):
        one.until(BANNER)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(tmp_path / "monitor.sock"))
            other = Screen(connection.fileno())
            other.until(BANNER)
            one.type("info")
            one.until(b"info\x1b[K")
            assert other.ask("info history") == "0: 'info history'\r\n"
            one.type(" history\r")
            assert b"0: 'info history'\r\n" in one.until(b"\r\n(qemu) ")
        assert one.ask("info status").startswith("VM status")
        process.send_signal(signal.SIGTERM)
        one.ends()
        assert process.wait(TIMEOUT_S) == 0


@contextlib.contextmanager
def at_terminal(folder: Path, *words: str) -> Iterator[tuple[Screen, int, subprocess.Popen[bytes]]]:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*OURS, *QUIET, *words],
        cwd=folder,
        env=environment(),
        stdin=slave,
        stdout=slave,
        start_new_session=True,
    )
    try:
        yield Screen(master), slave, process
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    "words", [["-monitor", "stdio"], ["-chardev", "stdio,id=c", "-mon", "chardev=c,mode=readline"]]
)
def test_a_terminal_hands_over_each_key_and_is_given_back(tmp_path: Path, words: list[str]) -> None:
    with at_terminal(tmp_path, *words) as (screen, slave, process):
        before = termios.tcgetattr(slave)
        screen.until(b"(qemu) ")
        assert not termios.tcgetattr(slave)[3] & (termios.ECHO | termios.ICANON)
        screen.type("info statu\t")
        screen.until(b"info status \x1b[K")
        screen.type("\r")
        screen.until(b"VM status: paused (prelaunch)")
        screen.type("quit\r")
        assert process.wait(TIMEOUT_S) == 0
        assert termios.tcgetattr(slave) == before


def test_a_machine_begins_at_a_snapshot(tmp_path: Path) -> None:
    make_qcow2(tmp_path / "d.qcow2", "1M")
    drive = "if=none,id=d,file=d.qcow2,format=qcow2"
    with at_socket(tmp_path, "-drive", drive) as (screen, process):
        screen.until(BANNER)
        assert screen.ask('qemu-io d "write -P 1 0 4k"') == ""
        assert screen.ask("savevm before") == ""
        assert screen.ask('qemu-io d "write -P 2 0 4k"') == ""
        screen.type("quit\r")
        assert process.wait(TIMEOUT_S) == 0
    (tmp_path / "monitor.sock").unlink(missing_ok=True)
    with at_socket(tmp_path, "-drive", drive, "-loadvm", "before") as (screen, process):
        screen.until(BANNER)
        assert "before" in screen.ask("info snapshots")
        screen.type("quit\r")
        assert process.wait(TIMEOUT_S) == 0
    command = [*OURS, "io", "-r", "-f", "qcow2", "-c", "read -P 1 0 4k", "d.qcow2"]
    subprocess.run(command, cwd=tmp_path, env=environment(), check=True, timeout=TIMEOUT_S)


def test_a_snapshot_that_there_is_not_ends_the_start(tmp_path: Path) -> None:
    make_qcow2(tmp_path / "d.qcow2", "1M")
    words = ["-drive", "if=none,id=d,file=d.qcow2,format=qcow2", "-loadvm", "none"]
    ended = subprocess.run(
        [*OURS, *QUIET, *words],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.endswith(b": Snapshot 'none' does not exist in one or more devices\n")
