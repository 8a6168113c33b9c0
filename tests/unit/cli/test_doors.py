"""Choosing the door by the first word or by the program's name."""

import subprocess
import sys
from pathlib import Path

import pytest

from qmpserver.__main__ import run
from qmpserver.cli.doors import DOORS, word_of


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("qmpserver", ["--version"]),
        ("qmpserver", ["daemon", "--version"]),
        ("qemu-storage-daemon", ["--version"]),
    ],
)
def test_the_daemon_is_the_first_door(
    program: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(program, words) == 0
    assert capsys.readouterr().out.startswith(f"{program} version ")


@pytest.mark.parametrize("word", ["bogus", "", "qemu-img"])
def test_a_word_without_a_door_is_refused_by_name(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("qmpserver", [word, "--help"]) == 1
    known = ", ".join(DOORS)
    assert capsys.readouterr().err == f"qmpserver: '{word}' is not a command (there is: {known})\n"


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_in_front_of_the_doors_help_lists_them(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("qmpserver", [word]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Usage: qmpserver [daemon] OPTION..."
    assert [line.split()[0] for line in lines if line.startswith("  ") and " or: " not in line] == list(DOORS)


def test_every_door_tells_of_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for word in DOORS:
        assert run("qmpserver", [word, "--help"]) == 0
        assert "usage: " in capsys.readouterr().out.lower()


@pytest.mark.parametrize(
    ("program", "word"),
    [
        ("qemu-img", "img"),
        ("qemu-nbd", "nbd"),
        ("qemu-system-x86_64", "machine"),
        ("qemu-system-aarch64", "machine"),
        ("qemu-system-", None),
        ("qemu-system-*", None),
        ("qmpserver", None),
    ],
)
def test_the_name_of_a_tool_opens_its_door(program: str, word: str | None) -> None:
    assert word_of(program) == word
    assert word is None or word in DOORS


def test_under_a_tools_own_name_a_word_is_that_tools_matter(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("qemu-storage-daemon", ["daemon", "--bogus"]) == 1
    assert capfd.readouterr().err == "qemu-storage-daemon: unrecognized option '--bogus'\n"


def test_under_the_name_of_the_image_tool_words_are_its_commands(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("qemu-img", ["bogus"]) == 1
    assert capfd.readouterr().err.startswith("qemu-img: Command not found: bogus\nTry ")


@pytest.mark.parametrize(
    ("program", "beginning"),
    [
        ("qemu-img", "qemu-img version 11."),
        ("qemu-io", "qemu-io version 11."),
        ("qemu-storage-daemon", "qemu-storage-daemon version 11."),
    ],
)
def test_under_a_tools_name_the_version_is_laid_out_as_the_tools(
    program: str, beginning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(program, ["--version"]) == 0
    assert capsys.readouterr().out.startswith(beginning)


def test_a_closed_standard_stream_is_neither_missed_nor_taken_for_an_image(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(4096))
    commands = ["-c", "read -P 0 0 512", "-c", "length"]
    done = subprocess.run(
        [
            "sh",
            "-c",
            'exec "$0" "$@" <&- >&- 2>&-',
            sys.executable,
            "-m",
            "qmpserver",
            "io",
            *commands,
            image,
        ],
        cwd=Path(__file__).parents[3],
        timeout=20,
        check=False,
    )
    assert done.returncode == 0
    assert image.read_bytes() == bytes(4096)
