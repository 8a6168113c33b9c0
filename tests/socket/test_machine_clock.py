"""A test that the machine connects to turns its clock, and nothing else does."""

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.socket.process import TIMEOUT_S, Client, DaemonProcess, run_to_end

QUIET = ["-machine", "none", "-display", "none", "-chardev", "socket,id=m,path=qmp,server=on,wait=off"]
WORDS = [*QUIET, "-mon", "chardev=m,mode=control", "-accel", "qtest", "-qtest", "unix:qtest"]


def test_a_test_turns_the_clock_of_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("qtest")
        listening.listen(1)
        listening.settimeout(TIMEOUT_S)
        words = [*WORDS, "-qtest-log", "log"]
        with DaemonProcess(*words, folder=tmp_path, door=["machine"]) as started, Client.at("qmp") as client:
            connection, _ = listening.accept()
            with connection, connection.makefile("rw", encoding="utf-8") as lines:
                for line, answer in (("clock_step 5", "OK 5\n"), ("clock_set 3", "FAIL 5\n")):
                    lines.write(f"{line}\n")
                    lines.flush()
                    assert lines.readline() == answer
            (qtest,) = [one for one in client.execute("query-chardev")["return"] if one["label"] == "qtest"]
            assert qtest["frontend-open"]
            assert started.end(signal.SIGTERM) == (0, "")
    assert [line.partition("] ")[2] for line in (tmp_path / "log").read_text().splitlines()] == [
        "clock_step 5",
        "OK 5",
        "clock_set 3",
        "FAIL 5",
    ]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("foo", "'foo' is not a valid char driver"),
        ("unix:/no/such", "Failed to connect to '/no/such': No such file or directory"),
    ],
)
def test_a_test_that_cannot_be_reached_ends_the_program(address: str, reason: str, tmp_path: Path) -> None:
    words = [address if word == "unix:qtest" else word for word in WORDS]
    failed = run_to_end("machine", *words, folder=tmp_path)
    assert (failed.returncode, failed.stderr.splitlines()) == (
        1,
        [f"qmpserver: {reason}", f'qmpserver: Failed to initialize device for qtest: "{address}"'],
    )
    assert not os.path.exists(tmp_path / "qmp")
