"""Links under the names of QEMU's tools."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qmpserver.cli import link
from qmpserver.errors import QMPError

TARGET = "/opt/venv/bin/qmpserver"
TOOLS = ["qemu-img", "qemu-nbd"]


def test_links_are_made_once_and_kept_afterwards(tmp_path: Path) -> None:
    folder = str(tmp_path / "deep" / "bin")
    paths = [f"{folder}/{name}" for name in TOOLS]
    assert link.make_links(folder, TOOLS, TARGET) == [f"made {path} -> {TARGET}" for path in paths]
    assert link.make_links(folder, TOOLS, TARGET) == [f"kept {path} -> {TARGET}" for path in paths]
    assert sorted(os.listdir(folder)) == TOOLS


def test_a_link_to_another_installation_is_led_here(tmp_path: Path) -> None:
    path = tmp_path / "qemu-img"
    path.symlink_to("/nowhere/bin/qmpserver")
    assert link.make_links(str(tmp_path), ["qemu-img"], TARGET) == [f"made {path} -> {TARGET}"]
    assert os.readlink(path) == TARGET


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_not_ours_is_left_alone_and_then_nothing_is_made(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "qemu-nbd"
    if kind == "file":
        path.write_text("theirs")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/usr/bin/qemu-nbd")
    with pytest.raises(QMPError) as refusal:
        link.make_links(str(tmp_path), TOOLS, TARGET)
    assert str(refusal.value) == f"'{path}' exists and is not a link to qmpserver"
    assert os.listdir(tmp_path) == ["qemu-nbd"]


def test_only_names_of_tools_are_linked(tmp_path: Path) -> None:
    with pytest.raises(QMPError, match="'qemu-bogus' is not the name of a QEMU tool"):
        link.make_links(str(tmp_path / "bin"), ["qemu-img", "qemu-bogus"], TARGET)
    assert not (tmp_path / "bin").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file" / "bin")
    with pytest.raises(QMPError, match=f"Could not make links in '{folder}': Not a directory"):
        link.make_links(folder, TOOLS, TARGET)


def test_the_installed_program_behaves_as_the_tool_whose_link_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # As an installer makes it, for this interpreter.
    program = tmp_path / "venv" / "qmpserver"
    program.parent.mkdir()
    lines = [f"#!{sys.executable}", "import sys", "from qmpserver.__main__ import main", "sys.exit(main())"]
    program.write_text("\n".join(lines) + "\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(program), "link"])
    assert link.main("qmpserver", [str(tmp_path / "bin"), *TOOLS]) == 0
    assert capfd.readouterr().out == "".join(f"made {tmp_path}/bin/{name} -> {program}\n" for name in TOOLS)
    for name in TOOLS:
        done = subprocess.run(
            [tmp_path / "bin" / name, "--version"],
            env={**os.environ, "PYTHONPATH": str(Path(link.__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        assert name in done.stdout.split()[0]
        assert "(qmpserver " in done.stdout


def test_without_a_folder_there_is_advice(capfd: pytest.CaptureFixture[str]) -> None:
    assert link.main("qmpserver", []) == 1
    assert capfd.readouterr().err == (
        "qmpserver link: Expecting a folder\nTry 'qmpserver link --help' for more information\n"
    )
