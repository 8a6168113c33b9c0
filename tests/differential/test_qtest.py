"""Where a guest's clock is nobody's to turn, the qtest protocol gives QEMU's answers."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.peers import need
from tests.socket.process import environment

OPTIONS = "-display none -nodefaults -S -qtest unix:qtest -qtest-log none -accel tcg"
LINES = [
    "endianness",
    "clock_step 1",
    "clock_set 5",
    "foo",
    " inb 0x60",
    "CLOCK_STEP",
    "irq_intercept_in /nix",
]


def play(command: list[str], folder: Path) -> list[str]:
    """Say the lines to a program, and return its answers."""
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(folder / "qtest"))
        listening.listen(1)
        listening.settimeout(30)
        process = subprocess.Popen(
            [*command, *OPTIONS.split()], cwd=folder, env=environment(), stdin=subprocess.DEVNULL
        )
        try:
            connection, _ = listening.accept()
            with connection, connection.makefile("rw", encoding="utf-8") as lines:
                connection.settimeout(30)
                answers = []
                for line in LINES:
                    lines.write(f"{line}\n")
                    lines.flush()
                    answers.append(lines.readline())
                return answers
        finally:
            process.kill()
            process.wait()


def test_the_answers_are_qemus(tmp_path: Path) -> None:
    theirs = play([need("qemu-system-x86_64")], tmp_path / "theirs")
    assert play([sys.executable, "-m", "qmpserver", "machine"], tmp_path / "ours") == theirs
    assert theirs[:2] == ["OK little\n", "FAIL Unknown command 'clock_step'\n"]
