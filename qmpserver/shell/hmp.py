"""Send lines to the human monitor of a server that has one."""

from collections.abc import Awaitable, Callable
from typing import Any

from qmpserver.shell.client import CommandFailed, Message, NotConnected
from qmpserver.shell.suggestions import Completion
from qmpserver.shell.words import LineError

COMMAND = "human-monitor-command"
"""The QMP command that takes such lines."""


class HMPReader:
    """Turn lines into requests, for the processor that was chosen last, if one was.

    A machine need not have any, and then refuses to be told of one.
    """

    def __init__(self) -> None:
        self.cpu_index: int | None = None

    def read(self, line: str) -> Message | None:
        """Return the request that a line makes, or None for an empty one.

        Raises:
            LineError: The line chooses a processor, but not by number.
        """
        words = line.split()
        if not words:
            return None
        index = self.cpu_index
        if words[0] == "cpu":
            index = _cpu_index(words)
        chosen = {} if index is None else {"cpu-index": index}
        return {"execute": COMMAND, "arguments": {"command-line": line, **chosen}}

    def settle(self, request: Message, reply: Message) -> None:
        """Remember the processor that a request has chosen, if it was a good one."""
        if "return" in reply:
            self.cpu_index = request["arguments"].get("cpu-index")


def _cpu_index(words: list[str]) -> int:
    if len(words) != 2 or not (words[1].isascii() and words[1].isdigit()):
        raise LineError("cpu command takes an integer argument")
    return int(words[1])


class HMPCompleter:
    """Complete commands, from the monitor's own help.

    Args:
        execute: Runs a QMP command with keywords as its arguments.
    """

    def __init__(self, execute: Callable[..., Awaitable[Any]]) -> None:
        self._execute = execute
        self._lines: dict[str, str] = {}

    async def load(self) -> None:
        """Learn the commands of the server; none where it has no such monitor."""
        self._lines = {}
        for asked, before in (("help", ""), ("help info", "")):
            for name, note in _names(await self._ask(asked)):
                self._lines[before + name] = note
                self._lines.setdefault(f"help {name}", note)

    async def complete(self, text: str) -> list[Completion]:
        """Return the commands that begin with a text."""
        return [
            Completion(name, len(text), name, note)
            for name, note in sorted(self._lines.items())
            if name.startswith(text) and name.count(" ") <= text.count(" ")
        ]

    async def _ask(self, line: str) -> str:
        try:
            return str(await self._execute(COMMAND, **{"command-line": line}))
        except (CommandFailed, NotConnected):
            return ""


def _names(helped: str) -> list[tuple[str, str]]:
    """Return the commands that a help text lists, by their longest names, with what it says of them."""
    found = []
    for line in helped.splitlines():
        usage, _, note = line.partition(" -- ")
        words = usage.split()
        if not words or line[0] in "[\t ":
            continue
        if words[0] == "info" and len(words) > 1 and not words[1].startswith("["):
            found.append((f"info {words[1]}", note))
        else:
            found.append((max(words[0].split("|"), key=len), note))
    return found
