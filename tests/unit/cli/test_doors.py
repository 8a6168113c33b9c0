"""Choosing the door by the first word or by the program's name."""

import pytest

from qmpserver.__main__ import run


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
    assert capsys.readouterr().out.startswith("qmpserver version ")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("nbd", "qmpserver: 'nbd' is not supported yet (there is: daemon, img, io, shell)\n"),
        ("bogus", "qmpserver: 'bogus' is not a command (there is: daemon, img, io, shell)\n"),
    ],
)
def test_a_word_without_a_door_is_refused_by_name(
    word: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("qmpserver", [word, "--help"]) == 1
    assert capsys.readouterr().err == message


def test_under_a_tools_own_name_a_word_is_that_tools_matter(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("qemu-storage-daemon", ["daemon", "--bogus"]) == 1
    assert capfd.readouterr().err == "qemu-storage-daemon: unrecognized option '--bogus'\n"


def test_under_the_name_of_the_image_tool_words_are_its_commands(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("qemu-img", ["bogus"]) == 1
    assert capfd.readouterr().err.startswith("qemu-img: Command not found: bogus\nTry ")
