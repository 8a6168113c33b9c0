"""Read the tool's own options, and go to the subcommand.

Nothing is imported that the words do not ask for.
"""

import asyncio
import importlib
import os
import sys
from collections.abc import Sequence

from qmpserver import tasks
from qmpserver.cli.command_line import Answer, Failure, Given, Subcommand, Tool, read
from qmpserver.cli.reports import Reporter
from qmpserver.errors import error_text
from qmpserver.options.getopt import OptionTable, UsageError, split
from qmpserver.version import QEMU_VERSION, __version__

COMMANDS = {
    "amend": "Change options of an image",
    "bench": "Measure how fast an image is read or written",
    "bitmap": "Change the dirty bitmaps that an image holds",
    "check": "Check an image's structures, and repair them",
    "commit": "Store what an image holds in an image below it",
    "compare": "Say whether two images show the same data",
    "convert": "Copy images into a new one of any format",
    "create": "Make a new image",
    "dd": "Copy an image, or a part of it, with operands as dd takes them",
    "info": "Describe an image",
    "map": "Say which parts of an image hold data, and where",
    "measure": "Say how large the file of a new image would be",
    "rebase": "Change the backing file of an image",
    "resize": "Change an image's size",
    "snapshot": "List, take, apply and delete snapshots inside an image",
}
"""What there is; each is a module of this package."""

_BY_STEPS = frozenset(("check", "convert", "info", "map", "measure", "snapshot"))
"""Those that do one thing after the other, and so need an event loop only for some of what they do."""

_OPTIONS = OptionTable(
    long={"help": False, "version": False, "trace": True},
    short={"h": "help", "V": "version", "T": "trace"},
    takes_operands=True,
)

_HELP = """\
Usage: {invoked} [options] COMMAND [--help | command options]
Work on disk images.

Options:
  -h, --help         show this and exit
  -V, --version      show the version and exit
  -T, --trace TRACE  log in detail what matches; "help" lists what can

Commands ({invoked} COMMAND --help describes each):
{commands}
"""


def main(program: str, words: Sequence[str]) -> int:
    """Run the tool with these words and return its exit status."""
    is_linked = program == "qemu-img"
    name = program if is_linked else f"{program} img"
    invoked = sys.argv[0] if is_linked else name
    reporter = Reporter(name)
    own, rest = _own_words(words)
    try:
        if (answer := _answer(own, invoked, reporter)) is not None:
            sys.stdout.write(answer)
            return 0
    except UsageError as error:
        return _refuse(reporter, str(error), invoked)
    except Failure as failure:
        reporter.error(failure.message)
        return failure.status
    if not rest:
        return _refuse(reporter, "Not enough arguments", invoked)
    command = rest[0]
    if command not in COMMANDS:
        return _refuse(reporter, f"Command not found: {command}", invoked)
    return _run(Tool(name, invoked, command), rest[1:])


def _own_words(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Split the words before the subcommand from the rest."""
    index = 0
    while index < len(words) and words[index].startswith("-") and words[index] not in {"-", "--"}:
        takes_next = words[index] in {"-T", "--trace"}
        index += 2 if takes_next else 1
    if words[index : index + 1] == ["--"]:
        return words[:index], words[index + 1 :]
    return words[:index], words[index:]


def _answer(words: Sequence[str], invoked: str, reporter: Reporter) -> str | None:
    """Carry out the tool's own options; return a text to print instead of running a subcommand."""
    for option in split(_OPTIONS, words):
        if option.name == "help":
            commands = "\n".join(f"  {name:9} {what}" for name, what in COMMANDS.items())
            return _HELP.format(invoked=invoked, commands=commands)
        if option.name == "version":
            return f"qemu-img version {'.'.join(map(str, QEMU_VERSION))} (qmpserver {__version__})\n"
        if option.name == "trace":
            from qmpserver.cli import tracing  # noqa: PLC0415 - few want it

            if (answer := tracing.start(option.value, reporter)) is not None:
                return answer
    return None


def _refuse(reporter: Reporter, message: str, invoked: str, status: int = 1) -> int:
    reporter.error(message)
    reporter.advise(f"Try '{invoked} --help' for more information")
    return status


def _run(tool: Tool, words: Sequence[str]) -> int:
    """Run a subcommand and put its outcome into words."""
    subcommand: Subcommand = importlib.import_module(f"qmpserver.cli.img.{tool.command}")
    with_command = f"{tool.invoked} {tool.command}"
    try:
        given = read(tool, subcommand.OPTIONS, words)
    except UsageError as error:
        return _refuse(Reporter(with_command), str(error), with_command)
    if given.has("help"):
        sys.stdout.write(subcommand.HELP.format(invoked=with_command))
        return 0
    try:
        return _carry_out(subcommand, given, with_command)
    except OSError as error:
        # Our output found no room, or whoever read it has gone; the interpreter must not stumble over it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError):
            tool.reporter.error(error_text(error))
        return 1


def _carry_out(subcommand: Subcommand, given: Given, with_command: str) -> int:
    run = tasks.run if given.tool.command in _BY_STEPS else asyncio.run
    try:
        status = run(subcommand.run(given))
    except Answer as answer:
        sys.stdout.write(str(answer))
        status = 0
    except Failure as failure:
        sys.stdout.flush()
        if failure.hint:
            return _refuse(given.tool.reporter, failure.message, with_command, failure.status)
        given.tool.reporter.error(failure.message)
        return failure.status
    sys.stdout.flush()
    return status
