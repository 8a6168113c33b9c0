"""Measure the machine beside the system emulator: until it runs, under libvirt, and what a hundred of them occupy."""

import json
import shlex
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.libvirt.domains import domain_xml, make_disks
from tests.libvirt.libvirtd import Libvirt

ROOT = Path(__file__).parents[1]

EMULATOR = "qemu-system-x86_64"
MACHINES = 100


class Machine:
    """A machine with a disk, whose monitor listens before it is started, as libvirt has it."""

    def __init__(self, command: list[str], folder: Path, name: str) -> None:
        image, path = folder / f"{name}.raw", folder / f"{name}.sock"
        with image.open("wb") as out:
            out.truncate(1 << 24)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(1)
            fd = listener.fileno()
            self.began = time.perf_counter()
            self.process = subprocess.Popen(
                [
                    *command,
                    *_words(fd),
                    "-blockdev",
                    f"raw,node-name=n,file.driver=file,file.filename={image}",
                ],
                pass_fds=[fd],
                stdin=subprocess.DEVNULL,
            )
            self._connection = socket.socket(socket.AF_UNIX)
            self._connection.connect(str(path))
        self._lines = self._connection.makefile("rb")

    def run(self) -> float:
        """Greet it and let it run; return the seconds since its start."""
        self._lines.readline()
        for name in ("qmp_capabilities", "query-block", "cont", "query-status"):
            reply = self._execute(name)
        assert reply["status"] == "running"
        return time.perf_counter() - self.began

    def _execute(self, name: str) -> Any:
        self._connection.sendall(json.dumps({"execute": name}).encode())
        while "event" in (message := json.loads(self._lines.readline())):
            pass
        return message["return"]

    def pss_mib(self) -> float:
        """Return its share of the memory it uses."""
        lines = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        self._lines.close()
        self._connection.close()


def _words(fd: int) -> list[str]:
    fixed = "-machine pc -accel tcg -m 64 -display none -nodefaults -no-user-config -S"
    monitor = f"-chardev socket,id=m,fd={fd},server=on,wait=off -mon chardev=m,mode=control"
    return [*fixed.split(), *monitor.split(), "-device", "virtio-scsi", "-device", "virtio-balloon"]


def measure_machine(command: list[str] | None, folder: Path) -> dict[str, float]:
    """Measure a machine of ours, or the emulator when `command` is None."""
    program = command or [EMULATOR]
    with_disk = Machine(program, folder, "one")
    figures = {"machine: start to running, s": with_disk.run()}
    with_disk.close()
    figures["machine: virsh start, s"] = _virsh_start(command, folder)
    figures[f"machine: {MACHINES} at once, PSS in MiB"] = _many(program, folder)
    for file in folder.glob("*.sock"):
        file.unlink()
    return figures


def _many(program: list[str], folder: Path) -> float:
    machines = [Machine(program, folder, str(number)) for number in range(MACHINES)]
    for machine in machines:
        machine.run()
    total = sum(machine.pss_mib() for machine in machines)
    for machine in machines:
        machine.close()
    return total


def _virsh_start(command: list[str] | None, folder: Path) -> float:
    """Return how long virsh takes to start a domain whose emulator libvirt knows already."""
    here = folder / "libvirt"
    shutil.rmtree(here, ignore_errors=True)
    emulator = here / EMULATOR
    with Libvirt(here) as libvirt:
        if command is None:
            emulator.symlink_to(str(shutil.which(EMULATOR)))
        else:
            emulator.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {shlex.join(command)} "$@"\n')
            emulator.chmod(0o755)
        make_disks(here / "disks")
        (here / "x.xml").write_text(domain_xml(emulator, here / "disks"))
        seconds = 0.0
        for line in (
            f"define {here / 'x.xml'}",
            "start x",
            "destroy x",
            "start x",
            "destroy x",
            "undefine x",
        ):
            began = time.perf_counter()
            answer = libvirt.virsh(*line.split())
            assert answer.status == 0, answer.text
            seconds = time.perf_counter() - began if line == "start x" else seconds
    return seconds
