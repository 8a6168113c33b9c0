"""Run lines that a person types in a terminal."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Sequence

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import ANSI, StyleAndTextTuples
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.styles import Style as Colours

from qmpserver.shell import suggestions
from qmpserver.shell.client import Message
from qmpserver.shell.colouring import Part, parts
from qmpserver.shell.drawing import Pencil
from qmpserver.shell.explanation import Explanation
from qmpserver.shell.history import history_path, open_history
from qmpserver.shell.hmp import HMPCompleter
from qmpserver.shell.jobs import Jobs
from qmpserver.shell.link import Link
from qmpserver.shell.live_names import LiveNames
from qmpserver.shell.screen import Screen, as_json
from qmpserver.shell.shell import Outcome, Shell, Style

PROMPT = "(QEMU) "
TRANSACTION_PROMPT = "TRANS> "

_COLOURS = Colours.from_dict(
    {
        Part.COMMAND.value: "bold",
        Part.UNKNOWN.value: "ansired",
        Part.KEY.value: "ansicyan",
        Part.CONSTANT.value: "ansimagenta",
        Part.TEXT.value: "ansigreen",
        "bottom-toolbar": "noreverse",
        "deprecated": "italic",
    }
)
_NO_COLOURS = Colours.from_dict({"bottom-toolbar": "noreverse"})


class TerminalScreen(Screen):
    """Print above the line that is being typed.

    Args:
        pretty: Messages take several lines each.
    """

    def __init__(self, *, pretty: bool = False) -> None:
        self._pretty = pretty

    @property
    def has_colours(self) -> bool:
        """Whether the terminal shows colours, and its user wants them."""
        return "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    @property
    def pencil(self) -> Pencil:
        """What draws for the terminal as wide as it is now."""
        return Pencil(shutil.get_terminal_size().columns, has_colours=self.has_colours)

    def message(self, message: Message) -> None:
        """Show a request, a reply or an event, in colours."""
        self._print(self.pencil.json(as_json(message, pretty=self._pretty)))

    def text(self, text: str) -> None:
        """Show what a command has written for a person."""
        self._print(text.replace("\r\n", "\n").rstrip("\n"))

    def note(self, text: str) -> None:
        """Show what has happened."""
        self._print(self.pencil.styled(text, "yellow"))

    def complaint(self, text: str) -> None:
        """Show what is wrong."""
        self._print(self.pencil.styled(text, "red"))

    def explanation(self, explanation: Explanation) -> None:
        """Show help."""
        self._print(self.pencil.explanation(explanation))

    def _print(self, text: str) -> None:
        print_formatted_text(ANSI(text))


class _TabCompleter(Completer):
    """Completes when asked; the server may have to be."""

    def __init__(self, complete: Callable[[str], Awaitable[Sequence[suggestions.Completion]]]) -> None:
        self._complete = complete

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        return ()

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        for one in await self._complete(document.text_before_cursor):
            style = "class:deprecated" if one.is_deprecated else ""
            yield Completion(one.text, -one.replaces, display=one.shown, display_meta=one.note, style=style)


class _LineLexer(Lexer):
    """Colours what is typed."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        def line(number: int) -> StyleAndTextTuples:
            cut = parts(
                document.lines[number],
                self._shell.schema.commands,
                in_transaction=self._shell.is_in_transaction,
            )
            return [(f"class:{part.value}" if part.value else "", text) for part, text in cut]

        return line


class TerminalShell:
    """A shell for a person.

    Args:
        link: The open way to the server.
        screen: The terminal.
        style: How the shell speaks.
    """

    def __init__(self, link: Link, screen: TerminalScreen, style: Style) -> None:
        self._link = link
        self._screen = screen
        self._style = style
        self._jobs = Jobs(link.execute, self._redraw)
        link.subscribe(self._jobs.take_event)
        self._shell = Shell(link, screen, style)
        self._hmp = HMPCompleter(link.execute)
        self._names = LiveNames(link.execute)
        self._late: set[asyncio.Task[Outcome]] = set()
        self._interrupted = asyncio.Event()
        self._session: PromptSession[str] = PromptSession(
            completer=_TabCompleter(self._complete),
            complete_while_typing=False,
            lexer=None if style.is_hmp else _LineLexer(self._shell),
            style=_COLOURS if screen.has_colours else _NO_COLOURS,
            history=open_history(history_path(os.environ)),
            auto_suggest=AutoSuggestFromHistory(),
            enable_history_search=True,
            bottom_toolbar=self._toolbar,
        )

    async def run(self) -> int:
        """Run lines until the person leaves, or the server goes for good, and return the exit status."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._interrupt)
        self._welcome()
        helpers = [asyncio.create_task(self._watch()), asyncio.create_task(self._jobs.follow())]
        await self._learn()
        try:
            return await self._run_lines()
        finally:
            for task in [*helpers, *self._late]:
                task.cancel()
            await asyncio.gather(*helpers, *self._late, return_exceptions=True)

    async def _run_lines(self) -> int:
        while True:
            try:
                line = await self._session.prompt_async(self._prompt, handle_sigint=False)
            except KeyboardInterrupt:
                self._shell.lines.give_up()
                continue
            except EOFError:
                return 0
            except ConnectionError:
                return 0 if self._shell.is_quitting else 1
            # What is pasted may be several.
            for part in line.splitlines():
                if await self._interruptible(self._shell.run(part)) is Outcome.LEAVE:
                    return 0
            if self._shell.is_quitting:
                await self._link.wait_lost()
                return 0

    def _interrupt(self) -> None:
        """Take a Ctrl-C that comes as a signal, as it does while no line is typed."""
        self._interrupted.set()
        if self._session.app.is_running and not self._session.app.is_done:
            self._session.app.exit(exception=KeyboardInterrupt())

    async def _interruptible(self, running: Coroutine[None, None, Outcome]) -> Outcome:
        """Wait for a line's end; Ctrl-C lets it go on without being waited for."""
        self._interrupted.clear()
        task = asyncio.create_task(running)
        interruption = asyncio.create_task(self._interrupted.wait())
        await asyncio.wait({task, interruption}, return_when=asyncio.FIRST_COMPLETED)
        interruption.cancel()
        if task.done():
            return task.result()
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        self._screen.note("The reply will be shown when it comes.")
        return Outcome.DONE

    async def _watch(self) -> None:
        """Say when the server goes and when it has come back; without hope of that, end."""
        while True:
            await self._link.wait_lost()
            if self._shell.is_quitting or not self._link.can_return:
                break
            self._screen.note("The server has gone. Waiting for it to come back...")
            await self._link.reopen()
            self._welcome()
            self._jobs.stir()
            await self._learn()
        if self._session.app.is_running and not self._session.app.is_done:
            self._session.app.exit(exception=ConnectionResetError())

    def _welcome(self) -> None:
        version = self._link.greeting.get("version")
        self._screen.note(f"Connected to {describe(version)}." if version else "Connected.")

    async def _learn(self) -> None:
        await (self._hmp.load() if self._style.is_hmp else self._shell.learn())

    def _redraw(self) -> None:
        self._session.app.invalidate()

    def _prompt(self) -> str:
        return TRANSACTION_PROMPT if self._shell.is_in_transaction else PROMPT

    def _toolbar(self) -> ANSI | None:
        return ANSI(self._screen.pencil.jobs(self._jobs.under_way)) if self._jobs.under_way else None

    async def _complete(self, text: str) -> Sequence[suggestions.Completion]:
        if self._style.is_hmp:
            return await self._hmp.complete(text)
        return await suggestions.complete(
            text, self._shell.schema, self._names.of, in_transaction=self._shell.is_in_transaction
        )


def describe(version: Message) -> str:
    """Return a greeting's version in words."""
    qemu = version.get("qemu", {})
    number = ".".join(str(qemu.get(part, "?")) for part in ("major", "minor", "micro"))
    package = f" ({version['package']})" if version.get("package") else ""
    return f"QEMU {number}{package}"
