"""The shell's door: its command line, and what it needs besides lines."""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TextIO

from qmpserver.cli.reports import Reporter
from qmpserver.options.getopt import STRAY, Option, OptionTable, UsageError, split
from qmpserver.shell import addresses
from qmpserver.shell.client import NotConnected
from qmpserver.shell.link import Link
from qmpserver.shell.plain import PlainScreen, lines_of, run_plainly
from qmpserver.shell.screen import Screen
from qmpserver.shell.shell import Style
from qmpserver.shell.wrapped import WrappedServer

_WRAP = "--wrap"

_OPTIONS = OptionTable(
    long={
        "help": False,
        "hmp": False,
        "verbose": False,
        "pretty": False,
        "logfile": True,
        "skip-negotiation": False,
        "exit-on-error": False,
    },
    short={
        "h": "help",
        "H": "hmp",
        "v": "verbose",
        "p": "pretty",
        "l": "logfile",
        "N": "skip-negotiation",
        "e": "exit-on-error",
    },
    takes_operands=True,
)

_HELP = """\
Usage: {program} shell [OPTIONS] ADDRESS
       {program} shell [OPTIONS] --wrap COMMAND...
Talk to a QMP server: this one, QEMU, or a guest agent.

ADDRESS is a UNIX socket's path, HOST:PORT, or fd:N; without it, $QMP_SOCKET.

  -H, --hmp               lines are for the human monitor
  -v, --verbose           show requests too
  -p, --pretty            lay JSON out
  -l, --logfile FILE      append requests, replies and events to FILE
  -N, --skip-negotiation  the server does not greet, as the guest agent
  -e, --exit-on-error     end at the first command that fails (when lines come from a file)
      --wrap COMMAND...   start a server, and end it with the shell
  -h, --help              show this

In a terminal, Tab completes and "help" explains. Lines from a file or a pipe are run one by one; the exit
status is 1 when one of them failed.
"""


@dataclass(slots=True)
class Wishes:
    """What the command line asks for.

    Attributes:
        flags: The options given, of those that take no argument.
        logfile: Where messages are logged, or an empty string.
        address: Where the server is, or an empty string.
        command: The server to start, if one is to be.
    """

    flags: set[str] = field(default_factory=set)
    logfile: str = ""
    address: str = ""
    command: Sequence[str] = ()


def main(program: str, words: Sequence[str]) -> int:
    """Run the shell.

    Args:
        program: The name the program was called by.
        words: What followed the door's word on the command line.

    Returns:
        The exit status.
    """
    reporter = Reporter(program)
    try:
        wishes = read(words, os.environ.get("QMP_SOCKET", ""))
        if "help" in wishes.flags:
            print(_HELP.format(program=program), end="")
            return 0
        with open(wishes.logfile or os.devnull, "a", encoding="utf-8", opener=_for_owner) as log:
            return asyncio.run(_run(wishes, log if wishes.logfile else None))
    except UsageError as error:
        reporter.error(str(error))
        reporter.advise(f"Try '{program} shell --help' for more information.")
    except (addresses.AddressError, NotConnected) as error:
        reporter.error(str(error))
    except OSError as error:
        reporter.error(error.strerror or str(error), error.filename or wishes.address)
    except ModuleNotFoundError as error:
        reporter.error(
            f"in a terminal the shell needs the package '{error.name}': pip install 'qmpserver[shell]'"
        )
    except KeyboardInterrupt:
        return 130
    return 1


def _for_owner(path: str, flags: int) -> int:
    """Open a file that, if it is new, only its owner may read: requests may hold secrets."""
    return os.open(path, flags, 0o600)


def read(words: Sequence[str], default_address: str) -> Wishes:
    """Read the command line; what follows ``--wrap`` is the server's.

    Raises:
        UsageError: It is wrong.
    """
    wishes = Wishes()
    if _WRAP in words:
        index = words.index(_WRAP)
        words, wishes.command = words[:index], words[index + 1 :]
        if not wishes.command:
            raise UsageError(f"option '{_WRAP}' requires a command")
    for option in split(_OPTIONS, words):
        _take(option, wishes)
    if wishes.command and wishes.address:
        raise UsageError(f"option '{_WRAP}' and an address exclude each other")
    if not wishes.command:
        wishes.address = wishes.address or default_address
    if not (wishes.address or wishes.command or "help" in wishes.flags):
        raise UsageError("the server's address is missing")
    return wishes


def _take(option: Option, wishes: Wishes) -> None:
    match option.name:
        case "logfile":
            wishes.logfile = option.value
        case name if name != STRAY:
            wishes.flags.add(name)
        case _ if wishes.address:
            raise UsageError(f"unexpected argument '{option.value}'")
        case _:
            wishes.address = option.value


async def _run(wishes: Wishes, log: TextIO | None) -> int:
    """Open what is needed, run the shell, and close it again."""
    async with AsyncExitStack() as stack:
        style = Style("verbose" in wishes.flags, "hmp" in wishes.flags)
        if _is_terminal():
            # Only here, for these need packages that scripts do without.
            from qmpserver.shell.terminal import TerminalScreen, TerminalShell  # noqa: PLC0415 - scripts need no terminal

            screen = TerminalScreen(pretty="pretty" in wishes.flags)
            link = await _open(wishes, screen, log, stack, show=screen.text)
            return await TerminalShell(link, screen, style).run()
        plain_screen = PlainScreen(pretty="pretty" in wishes.flags)
        link = await _open(wishes, plain_screen, log, stack)
        lines = lines_of(sys.stdin.fileno())
        return await run_plainly(
            link, plain_screen, style, lines, stops_at_failure="exit-on-error" in wishes.flags
        )


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


async def _open(
    wishes: Wishes,
    screen: Screen,
    log: TextIO | None,
    stack: AsyncExitStack,
    show: Callable[[str], None] | None = None,
) -> Link:
    """Connect to the server, which is started first if the shell is to start it."""
    if not wishes.command:
        address = addresses.parse(wishes.address)
        link = Link(address, negotiate="skip-negotiation" not in wishes.flags, log=log)
        stack.push_async_callback(link.close)
    else:
        server = await WrappedServer.start(wishes.command, show)
        link = Link(server.address, log=log)
        stack.push_async_callback(server.finish, link)
    link.subscribe(screen.message)
    await link.open()
    return link
