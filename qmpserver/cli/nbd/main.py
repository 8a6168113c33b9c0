"""Run the tool: read the options, find what contradicts, and then list or serve.

Nothing is imported that the words do not ask for.
"""

import os
import sys
from collections.abc import Sequence

from qmpserver.cli.command_line import Answer, Failure, Given, Tool
from qmpserver.cli.nbd.combinations import WrongUse, check_combinations
from qmpserver.cli.nbd.values import offset_of, read_options
from qmpserver.cli.reports import Reporter
from qmpserver.errors import QMPError
from qmpserver.options.getopt import UsageError


def main(program: str, words: Sequence[str]) -> int:
    """Run the tool with these words and return its exit status."""
    is_linked = program == "qemu-nbd"
    name = program if is_linked else f"{program} nbd"
    tool = Tool(name, sys.argv[0] if is_linked else name, "")
    try:
        return _run(tool, words)
    except Answer as answer:
        sys.stdout.write(str(answer))
        return 0
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not stumble over it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except UsageError as error:
        # The first line is getopt's, which has the name as it was typed.
        Reporter(tool.invoked).error(str(error))
        tool.reporter.error(f"Try `{tool.invoked} --help' for more information.")
    except WrongUse:
        tool.reporter.error("Invalid number of arguments")
        tool.reporter.advise(f"Try `{tool.invoked} --help' for more information.")
    except (QMPError, Failure) as error:
        tool.reporter.error(error.description if isinstance(error, QMPError) else error.message)
        if isinstance(error, QMPError) and error.hint:
            tool.reporter.advise(error.hint)
    return 1


def _run(tool: Tool, words: Sequence[str]) -> int:
    given = read_options(tool, words)
    check_combinations(given, is_offset=offset_of(given) != 0)
    from qmpserver.cli.nbd.address import address_of  # noqa: PLC0415 - the answers before need no sockets

    address = address_of(given, os.environ, os.getpid())
    if given.has("list"):
        from qmpserver.cli.nbd.listing import run_list  # noqa: PLC0415 - a server lists nothing

        return run_list(given)
    _refuse_devices(given)
    parent = None
    if given.has("fork"):
        from qmpserver.cli.nbd import forking  # noqa: PLC0415 - few want it

        parent = forking.leave()
    from qmpserver.cli.nbd.serving import run_server  # noqa: PLC0415 - the fork comes first

    return run_server(given, address, parent)


def _refuse_devices(given: Given) -> None:
    for option in ("connect", "disconnect"):
        if given.has(option):
            raise QMPError(f"--{option} is not supported: it needs the NBD client of the kernel")
