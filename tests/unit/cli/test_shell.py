import builtins
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from qmpserver.cli import shell
from qmpserver.cli.shell import Wishes, main, read


@pytest.mark.parametrize(
    ("words", "wishes"),
    [
        (["s"], Wishes(address="s")),
        ([], Wishes(address="default")),
        (
            ["-vpHNe", "-l", "f", "s"],
            Wishes({"verbose", "pretty", "hmp", "skip-negotiation", "exit-on-error"}, "f", "s"),
        ),
        (["--log", "f", "--verb"], Wishes({"verbose"}, "f", "default")),
        (["--", "-s"], Wishes(address="-s")),
        (
            ["-v", "--wrap", "qemu", "-v", "x"],
            Wishes({"verbose"}, command=["qemu", "-v", "x"]),
        ),
    ],
)
def test_a_command_line_says_where_and_how(words: Sequence[str], wishes: Wishes) -> None:
    assert read(words, "default") == wishes


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "the server's address is missing"),
        (["a", "b"], "unexpected argument 'b'"),
        (["--wrap"], "option '--wrap' requires a command"),
        (["a", "--wrap", "b"], "option '--wrap' and an address exclude each other"),
        (["-z"], "invalid option -- 'z'"),
        (["-l"], "option requires an argument -- 'l'"),
    ],
)
def test_a_wrong_command_line_is_refused(
    words: Sequence[str], complaint: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QMP_SOCKET", raising=False)
    assert main("qmpserver", words) == 1
    assert capfd.readouterr().err == (
        f"qmpserver: {complaint}\nTry 'qmpserver shell --help' for more information.\n"
    )


def test_help_needs_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("qmpserver", ["--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: qmpserver shell [OPTIONS] ADDRESS\n")


def test_a_terminal_needs_packages_and_says_which(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real_import = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "prompt_toolkit":
            raise ModuleNotFoundError("no", name="prompt_toolkit")
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "qmpserver.shell.terminal", raising=False)
    monkeypatch.delitem(sys.modules, "qmpserver.shell.history", raising=False)
    monkeypatch.setattr(shell, "_is_terminal", lambda: True)
    assert main("qmpserver", ["s"]) == 1
    assert capfd.readouterr().err == (
        "qmpserver: in a terminal the shell needs the package 'prompt_toolkit': pip install 'qmpserver[shell]'\n"
    )
