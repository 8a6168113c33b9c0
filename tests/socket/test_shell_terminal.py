"""The shell in a terminal, as a person uses it."""

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pexpect
import pyte
import pytest

from tests.peers import need
from tests.socket.process import TIMEOUT_S, Client, DaemonProcess, environment

PROMPT = "(QEMU)"
TAB, ENTER, UP = "\t", "\r", "\x1b[A"
CTRL_C, CTRL_D, CTRL_E, CTRL_L, CTRL_U = "\x03", "\x04", "\x05", "\x0c", "\x15"
ROWS, COLUMNS = 50, 160
_ANSWER = re.compile(r"\^\[\[\d+;\d+R")


class Screen(pyte.Screen):
    """What a person sees; `answers` is what the terminal says by itself, such as where its cursor is."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, ROWS)
        self.answers = ""

    def write_process_input(self, data: str) -> None:
        self.answers += data


class Terminal:
    """A terminal with the shell in it."""

    def __init__(self, *words: str, folder: Path) -> None:
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", "qmpserver", "shell", *words],
            cwd=str(folder),
            env=environment({"TERM": "xterm", "XDG_STATE_HOME": str(folder)}),
            dimensions=(ROWS, COLUMNS),
            encoding="utf-8",
            timeout=TIMEOUT_S,
        )
        self.child.delaybeforesend = None
        self._screen = Screen()
        self._stream = pyte.Stream(self._screen)

    def __enter__(self) -> Self:
        self.sees(f"Connected to QEMU .*\n{re.escape(PROMPT)}$")
        return self

    def __exit__(self, *exception: object) -> None:
        self.child.kill(signal.SIGKILL)
        self.child.close()

    @property
    def text(self) -> str:
        """What is on the screen, without the blanks at the end of lines.

        An answer of the terminal that comes late, while no line is read, is shown by the kernel as if it were typed.
        """
        return "\n".join(_ANSWER.sub("", line).rstrip() for line in self._screen.display).rstrip()

    def colours(self, text: str) -> set[str]:
        """Return the colours of a text that is on the screen."""
        for number, line in enumerate(self._screen.display):
            if (start := line.find(text)) >= 0:
                return {self._screen.buffer[number][start + at].fg for at in range(len(text))}
        raise AssertionError(f"{text!r} is not on the screen")

    def types(self, keys: str) -> None:
        self.child.send(keys)

    def enters(self, line: str) -> None:
        """Type a line when there is a prompt for it, and wait for the next prompt."""
        self.sees(r"(^|\n)(\(QEMU\)|TRANS>)$")
        self.types(line + ENTER)

    def sees(self, pattern: str) -> None:
        """Wait for a text to be on the screen."""
        deadline = time.monotonic() + TIMEOUT_S
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, f"{pattern!r} is not on the screen:\n{self.text}"
            with contextlib.suppress(pexpect.TIMEOUT):
                self._stream.feed(self.child.read_nonblocking(4096, timeout=1))
            self.types(self._screen.answers)
            self._screen.answers = ""

    def ends(self) -> int:
        self.child.expect(pexpect.EOF)
        self.child.close()
        status: int = self.child.exitstatus
        return status


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a server in it."""
    folder = tmp_path_factory.mktemp("server")
    with DaemonProcess("--qmp", "unix:s", folder=folder):
        yield folder


@pytest.fixture(scope="module")
def lasting_terminal(folder: Path) -> Iterator[Terminal]:
    with Terminal("-v", "s", folder=folder) as terminal:
        yield terminal


@pytest.fixture
def terminal(lasting_terminal: Terminal) -> Terminal:
    """A terminal with an empty screen, at a prompt."""
    lasting_terminal.types(CTRL_E + CTRL_U + CTRL_L)
    lasting_terminal.sees(f"^{re.escape(PROMPT)}$")
    return lasting_terminal


def test_tab_completes_commands_members_values_and_names(terminal: Terminal) -> None:
    for keys, completed in (("blockdev-ad", "add"), (" dri", "driver="), ("null-c", "null-co")):
        terminal.types(keys + TAB)
        terminal.sees(f"{completed}$")
    terminal.types(f" node-name=disk7{ENTER}")
    terminal.sees(r'{"return": {}}\n\(QEMU\)$')
    for keys, completed in (("blockdev-del no", "node-name="), ("", "disk7")):
        terminal.types(keys + TAB)
        terminal.sees(f"{completed}$")
    terminal.types(ENTER)
    terminal.sees('(?s)({"return": {}}.*){2}')


def test_tab_shows_what_there_is_with_what_it_means(terminal: Terminal) -> None:
    terminal.types(f"blockdev-add cache.{TAB}")
    terminal.sees(r"direct= +Go past the page cache .*\n +no-flush= ")
    terminal.types(CTRL_C)
    terminal.enters("query-version")
    terminal.sees('"return": .*\\n')


def test_an_event_is_shown_above_the_line_that_is_typed(terminal: Terminal, folder: Path) -> None:
    terminal.types("query-block-ex")
    terminal.sees(r"\(QEMU\) query-block-ex$")
    with Client.at(folder / "s") as other:
        mirror(other, "j")
        terminal.sees(r'(?s)"event": "BLOCK_JOB_READY".*\n\(QEMU\) query-block-ex\n')
        terminal.sees(r"\nj \(mirror\) .* 100% ready$")
        terminal.types(f"ports{ENTER}")
        terminal.sees(r'"return": \[\]')
        terminal.sees(r"\n\(QEMU\)\n+j \(mirror\)")
        terminal.types(f"job-cancel id={TAB}")
        terminal.sees("id=j\n")
        terminal.types(ENTER)
        terminal.sees(r'(?s)"event": "BLOCK_JOB_CANCELLED".*\n\(QEMU\)$')


def mirror(client: Client, job: str) -> None:
    for name in (f"from-{job}", f"to-{job}"):
        client.execute("blockdev-add", driver="null-co", **{"node-name": name, "read-zeroes": True})
    nodes = {"device": f"from-{job}", "target": f"to-{job}"}
    client.execute("blockdev-mirror", sync="full", **{"job-id": job}, **nodes)


def test_a_transaction_has_its_own_prompt_and_can_be_given_up(terminal: Terminal) -> None:
    terminal.enters("transaction(")
    terminal.types(f"abo{TAB}")
    terminal.sees("TRANS> abort$")
    terminal.types(ENTER)
    terminal.enters(")")
    terminal.sees("Transaction aborted using Abort action")
    terminal.enters("transaction(")
    terminal.sees("TRANS>$")
    terminal.types(CTRL_C)
    terminal.sees(r"\(QEMU\)$")


def test_lines_that_are_pasted_are_run_one_by_one(terminal: Terminal) -> None:
    terminal.types("\x1b[200~query-jobs\nquery-version\x1b[201~" + ENTER)
    terminal.sees(r'(?s)"execute": "query-jobs".*"execute": "query-version".*"package".*\n\(QEMU\)$')


def test_a_line_has_colours_as_it_is_typed(terminal: Terminal) -> None:
    terminal.types("job-pasue id=j")
    terminal.sees("job-pasue id=j$")
    told = {text: terminal.colours(text) for text in ("job-pasue", "id")}
    terminal.types(CTRL_C)
    assert told["job-pasue"] == {"red"}
    assert len(told["id"]) == 1
    assert told["id"] not in ({"red"}, {"default"})


def test_help_and_mistakes_are_told(terminal: Terminal) -> None:
    terminal.enters("help job-pause")
    terminal.sees("job-pause\nPause a job, at its next request.\n+id +string +The job's id.")
    terminal.types(f"help JOB_STA{TAB}")
    terminal.sees("JOB_STATUS_CHANGE$")
    terminal.types(ENTER)
    terminal.sees(r"JOB_STATUS_CHANGE \(event\)\n")
    terminal.enters("help job-pasue")
    terminal.sees("There is no command 'job-pasue'; is it 'job-pause'\\?")
    terminal.enters("query-version x")
    terminal.sees("Expected a key=value pair, got 'x'")


def test_lines_are_remembered_by_the_next_shell(terminal: Terminal, folder: Path) -> None:
    terminal.enters("query-named-block-nodes flat=true")
    terminal.sees('{"return": ')
    with Terminal("s", folder=folder) as later:
        later.types(UP)
        later.sees(r"\(QEMU\) query-named-block-nodes flat=true$")
        later.types(CTRL_C)
        later.enters("exit")
        assert later.ends() == 0


def test_a_server_that_goes_and_comes_back_is_found_again(tmp_path: Path) -> None:
    with (
        DaemonProcess("--qmp", "unix:s", folder=tmp_path) as server,
        Terminal("s", folder=tmp_path) as terminal,
    ):
        server.end(signal.SIGTERM)
        terminal.sees(r"The server has gone. Waiting for it to come back...\n\(QEMU\)$")
        terminal.enters("query-version")
        terminal.sees("No reply: not connected")
        os.unlink(tmp_path / "notify")
        with DaemonProcess("--qmp", "unix:s", folder=tmp_path):
            terminal.sees("(?s)not connected.*Connected to QEMU")
            terminal.enters("query-version")
            terminal.sees('"return"')
            terminal.enters("quit")
            assert terminal.ends() == 0
        (tmp_path / "notify").touch()


def test_a_reply_that_is_late_can_be_left_to_come(terminal: Terminal, folder: Path) -> None:
    with Client.at(folder / "s") as other:
        mirror(other, "k")
        terminal.sees("BLOCK_JOB_READY")
        terminal.types(f"x-wait job=k{ENTER}")
        terminal.sees('{"execute": "x-wait", ')
        os.kill(terminal.child.pid, signal.SIGINT)
        terminal.sees(r"(?s)The reply will be shown when it comes.\n\(QEMU\)")
        other.execute("job-cancel", id="k")
        terminal.sees('{"return": ')


def test_the_real_daemon_completes_too(tmp_path: Path) -> None:
    daemon = need("qemu-storage-daemon")
    with Terminal("--wrap", "timeout", "-k", "5", "30", daemon, folder=tmp_path) as terminal:
        terminal.types(f"blockdev-add driver=null-c{TAB}")
        terminal.sees("null-co$")
        terminal.types(f" node-name=real0{ENTER}")
        terminal.sees(r'{"return": {}}\n\(QEMU\)$')
        terminal.types(f"blockdev-del node-name={TAB}")
        terminal.sees("node-name=real0$")
        terminal.types(ENTER)
        terminal.sees(r'(?s)({"return": {}}.*){2}\(QEMU\)$')
        terminal.types(CTRL_D)
        assert terminal.ends() == 0
