import asyncio
from pathlib import Path
from typing import Any

import pytest

from qmpserver.shell.client import Message
from qmpserver.shell.explanation import Explanation
from qmpserver.shell.link import Link
from qmpserver.shell.screen import Screen
from qmpserver.shell.shell import Outcome, Shell, Style
from tests.unit.shell.scripted_server import echo, serving


class Notes(Screen):
    """A screen that keeps what it is shown."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    def message(self, message: Message) -> None:
        self.shown.append(message)

    def text(self, text: str) -> None:
        self.shown.append(text)

    note = complaint = text

    def explanation(self, explanation: Explanation) -> None:
        self.shown.append(explanation.title)


def answer(request: Message) -> list[Any]:
    match request["execute"]:
        case "vanish" | "quit":
            return [None]
        case "human-monitor-command":
            line = request["arguments"]["command-line"]
            return [{"error": {"class": "C", "desc": "d"}}] if line == "bad" else [{"return": f"<{line}>"}]
        case "bad":
            return [{"error": {"class": "C", "desc": "d"}}]
        case _:
            return echo(request)


def outcome(line: str, folder: Path, style: Style) -> tuple[Outcome, list[Any], bool]:
    async def run() -> tuple[Outcome, list[Any], bool]:
        screen = Notes()
        async with serving(str(folder / "s"), answer) as address:
            link = Link(address)
            await link.open()
            shell = Shell(link, screen, style)
            result = await shell.run(line)
            await link.close()
        return result, screen.shown, shell.is_quitting

    return asyncio.run(run())


BAD = {"error": {"class": "C", "desc": "d"}}
HMP = Style(is_hmp=True)


@pytest.mark.parametrize(
    ("line", "style", "expected"),
    [
        ("", Style(), (Outcome.DONE, [], False)),
        ("# x", Style(), (Outcome.DONE, [], False)),
        ("transaction(", Style(), (Outcome.DONE, [], False)),
        ("bad", Style(), (Outcome.FAILED, [BAD], False)),
        ("bad", Style(is_verbose=True), (Outcome.FAILED, [{"execute": "bad", "arguments": {}}, BAD], False)),
        ("vanish", Style(), (Outcome.LOST, ["No reply: the server has gone"], False)),
        ("quit", Style(), (Outcome.DONE, [], True)),
        ("exit", Style(), (Outcome.LEAVE, [], False)),
        ("help", Style(), (Outcome.DONE, ["Lines"], False)),
        ("help x", Style(), (Outcome.FAILED, ["The server does not tell what its commands are"], False)),
        ("help x", HMP, (Outcome.DONE, ["<help x>"], False)),
        ("bad", HMP, (Outcome.FAILED, ["C: d"], False)),
        ("cpu x", HMP, (Outcome.FAILED, ["cpu command takes an integer argument"], False)),
        ("q", HMP, (Outcome.DONE, ["<q>"], True)),
    ],
)
def test_a_line_has_its_outcome(
    line: str, style: Style, expected: tuple[Outcome, list[Any], bool], tmp_path: Path
) -> None:
    assert outcome(line, tmp_path, style) == expected
