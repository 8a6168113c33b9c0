"""The file with the process id."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from qmpserver.cli.pidfile import PidFile
from qmpserver.errors import QMPError

HOLD = (
    "import sys; from qmpserver.cli.pidfile import PidFile; PidFile(sys.argv[1]); print(flush=True); input()"
)


def test_the_file_holds_the_process_id_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("something longer that stood there before")
    pidfile = PidFile(str(path))
    assert path.read_text() == f"{os.getpid()}\n"
    pidfile.remove()
    assert not path.exists()
    PidFile(str(path)).remove()


def test_a_new_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    pidfile = PidFile(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    pidfile.remove()


def test_a_file_that_another_process_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(QMPError) as refusal:
            PidFile(str(path))
        assert str(refusal.value) == "Cannot lock pid file: Resource temporarily unavailable"
        assert path.read_text() == f"{holder.pid}\n"
        holder.communicate(b"\n")


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(QMPError) as refusal:
        PidFile("/nowhere/pid")
    assert str(refusal.value) == "Could not create '/nowhere/pid': No such file or directory"


def test_a_name_that_was_taken_over_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    pidfile = PidFile(str(path))
    path.unlink()
    path.write_text("another's")
    pidfile.remove()
    assert path.read_text() == "another's"


def test_the_file_is_removed_from_another_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pidfile = PidFile("pid")
    monkeypatch.chdir("/")
    pidfile.remove()
    assert not (tmp_path / "pid").exists()
