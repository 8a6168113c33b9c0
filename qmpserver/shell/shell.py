"""Run lines: read them, send what they say, and show what comes back."""

from dataclasses import dataclass
from enum import Enum

from qmpserver.schema.introspected import IntrospectedSchema
from qmpserver.schema.loader import load
from qmpserver.shell.client import CommandFailed, Gone, Message, NotConnected
from qmpserver.shell.explanation import GENERAL, Explanation, explain
from qmpserver.shell.hmp import HMPReader
from qmpserver.shell.line import LineReader
from qmpserver.shell.link import Link
from qmpserver.shell.screen import Screen
from qmpserver.shell.words import LineError, split_narrowly

_LEAVE = "exit"
_HELP = "help"
_COMMENT = "#"


class Outcome(Enum):
    """What became of a line."""

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Style:
    """How a shell speaks.

    Attributes:
        is_verbose: Requests are shown too.
        is_hmp: Lines are for the human monitor.
    """

    is_verbose: bool = False
    is_hmp: bool = False


class Shell:
    """Take lines one by one.

    Args:
        link: The way to the server.
        screen: Where all is shown.
        style: How.

    Attributes:
        lines: The lines' language, where it is QMP.
        schema: What the server knows, once :meth:`learn` has asked.
        is_quitting: The server was told to end, so its going is no surprise.
    """

    def __init__(self, link: Link, screen: Screen, style: Style) -> None:
        self.lines = LineReader()
        self.schema = IntrospectedSchema((), {})
        self.is_quitting = False
        self._hmp = HMPReader() if style.is_hmp else None
        self._link = link
        self._screen = screen
        self._style = style

    @property
    def is_in_transaction(self) -> bool:
        """Whether lines are actions of a transaction now."""
        return self.lines.actions is not None

    async def learn(self) -> None:
        """Ask the server what it knows."""
        try:
            answer = await self._link.execute("query-qmp-schema")
        except (CommandFailed, NotConnected):
            return
        if isinstance(answer, list):
            ours = load()
            self.schema = IntrospectedSchema(answer, ours.commands, ours.events)

    async def run(self, line: str) -> Outcome:
        """Run a line and show what comes of it."""
        word = line.split(maxsplit=1)[0] if line.strip() else _COMMENT
        if word.startswith(_COMMENT):
            return Outcome.DONE
        if line.strip() == _LEAVE:
            return Outcome.LEAVE
        try:
            if word == _HELP and self._hmp is None:
                return await self._help(split_narrowly(line)[1:])
            request = (self._hmp or self.lines).read(line)
            return Outcome.DONE if request is None else await self._send(request)
        except LineError as error:
            self._screen.complaint(str(error))
        except NotConnected as error:
            self._screen.complaint(f"No reply: {error}")
            return Outcome.LOST
        return Outcome.FAILED

    async def _send(self, request: Message) -> Outcome:
        if self._style.is_verbose:
            self._screen.message(request)
        self.is_quitting = _is_quit(request, is_hmp=self._hmp is not None)
        try:
            reply = await self._link.request(request)
        except Gone:
            if self.is_quitting:  # QEMU may reset the connection before its last reply is through
                return Outcome.DONE
            raise
        if self._hmp is None:
            self._screen.message(reply)
        else:
            self._hmp.settle(request, reply)
            self._show_text(reply)
        self.is_quitting = self.is_quitting and "error" not in reply
        return Outcome.FAILED if "error" in reply else Outcome.DONE

    def _show_text(self, reply: Message) -> None:
        if "error" in reply:
            error = reply["error"]
            self._screen.complaint(f"{error.get('class')}: {error.get('desc')}")
        elif reply.get("return"):
            self._screen.text(str(reply["return"]))

    async def _help(self, words: list[str]) -> Outcome:
        if not words:
            self._screen.explanation(Explanation("Lines", GENERAL))
            return Outcome.DONE
        if not self.schema.commands:
            await self.learn()
        if not self.schema.commands:
            raise LineError("The server does not tell what its commands are")
        self._screen.explanation(explain(self.schema, words))
        return Outcome.DONE


def _is_quit(request: Message, *, is_hmp: bool) -> bool:
    if not is_hmp:
        return request.get("execute") == "quit"
    return request["arguments"]["command-line"].split()[0] in ("quit", "q")
