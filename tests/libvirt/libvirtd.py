"""Run a libvirt of our own: a libvirtd that sees nothing of the system's, driven by virsh."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.peers import PATIENCE_S, need

_CONFIGURATION = {
    "qemu.conf": """\
security_driver = "none"
user = "root"
group = "root"
stdio_handler = "file"
namespaces = []
cgroup_controllers = []
remember_owner = 0
""",
    "libvirtd.conf": """\
auth_unix_rw = "none"
log_filters = "1:qemu.qemu_monitor 3:*"
log_outputs = "1:file:/var/log/libvirt/libvirtd.log"
""",
}

_FOLDERS = {
    "etc": "/etc/libvirt",
    "lib": "/var/lib/libvirt",
    "run": "/run/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
}
"""What libvirt keeps, and where it looks for it; a mount namespace puts the one over the other."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said and how it ended."""

    text: str
    status: int


class Libvirt:
    """A libvirtd that is there until the `with` block ends.

    Args:
        folder: Where it keeps everything.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._daemon: subprocess.Popen[bytes] | None = None
        self._listener: subprocess.Popen[bytes] | None = None
        self._events = folder
        for name, place in _FOLDERS.items():
            (folder / name).mkdir(parents=True)
            Path(place).mkdir(parents=True, exist_ok=True)
        for name, text in _CONFIGURATION.items():
            (folder / "etc" / name).write_text(text)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._listener is not None:
            self._listener.kill()
            self._listener.wait()
        self.stop()
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            _kill_if_its(line, str(self.folder))

    @property
    def uri(self) -> str:
        """Where clients find it."""
        return f"qemu+unix:///system?socket={self.folder}/run/libvirt-sock"

    @property
    def log(self) -> str:
        """What it has logged of its talks with monitors."""
        return (self.folder / "log" / "libvirtd.log").read_text(errors="replace")

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        mounts = [f"mount --bind {self.folder / name} {place}" for name, place in _FOLDERS.items()]
        script = " && ".join([*mounts, f"exec {need('libvirtd')} --pid-file {self.folder}/pid"])
        self._daemon = subprocess.Popen(
            [need("unshare"), "--mount", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE_S
        while self.virsh("uri").status != 0:
            assert self._daemon.poll() is None, "libvirtd has ended"
            assert time.monotonic() < deadline, "libvirtd does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """End the daemon; its machines go on."""
        assert self._daemon is not None
        self._daemon.terminate()
        self._daemon.wait(PATIENCE_S)
        (self.folder / "run" / "libvirt-sock").unlink(missing_ok=True)

    def virsh(self, *words: str) -> Answer:
        """Run virsh on one command."""
        return self.run(need("virsh"), "-c", self.uri, *words)

    def listen(self, file: Path, domain: Path) -> None:
        """Have virsh write what domains tell of to a file, a line for each event, until they are :meth:`told`.

        Args:
            file: Where it writes.
            domain: A description that a domain has, which is given to it again until virsh tells of that.
        """
        words = (need("virsh"), "-c", self.uri, "event", "--all", "--loop", "--timeout", "60")
        self._events = file
        with file.open("wb") as out:
            self._listener = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self._wait(lambda: self.virsh("define", str(domain)).status == 0 and file.stat().st_size > 0)

    def told(self, count: int) -> list[str]:
        """Wait until so many events were told since :meth:`listen`, and return them."""
        assert self._listener is not None
        self._wait(lambda: len(self._told()) >= count)
        self._listener.terminate()
        self._listener.wait()
        self._listener = None
        return self._told()

    def _told(self) -> list[str]:
        lines = self._events.read_text().splitlines()
        return [line for line in lines if line.startswith("event '") and "Defined" not in line]

    @staticmethod
    def _wait(is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < deadline, "what was waited for has not come"
            time.sleep(0.05)

    def run_inside(self, *words: str | Path) -> Answer:
        """Run a client that finds this libvirtd where the system's would be."""
        assert self._daemon is not None
        return self.run(need("nsenter"), f"--mount=/proc/{self._daemon.pid}/ns/mnt", *words)

    def run(self, *words: str | Path) -> Answer:
        """Run a client to its end."""
        done = subprocess.run(
            ["timeout", "-k", "1", "60", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C.UTF-8", "LIBVIRT_DEFAULT_URI": self.uri},
            text=True,
            check=False,
        )
        return Answer(done.stdout, done.returncode)


def _kill_if_its(command_line: Path, folder: str) -> None:
    """End a machine that a failed test has left, known by the folder in its options."""
    try:
        words = command_line.read_bytes()
    except OSError:
        return
    if folder.encode() in words and b"charmonitor" in words:
        os.kill(int(command_line.parent.name), signal.SIGKILL)


_PROGRESS = re.compile(r"[A-Z][a-z]+ ?[A-Za-z]*: \[ *[\d.]+ ?%\]\r?")


def plain(text: str, masks: Sequence[tuple[str, str]]) -> str:
    """Return what was said without progress, and with everything masked that differs from run to run."""
    text = _PROGRESS.sub("", text.replace("\r", ""))
    for pattern, instead in masks:
        text = re.sub(pattern, instead, text)
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())


def can_have_namespaces() -> bool:
    """Say whether this process may give a child mounts of its own."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    return subprocess.run([unshare, "--mount", "true"], capture_output=True, check=False).returncode == 0
