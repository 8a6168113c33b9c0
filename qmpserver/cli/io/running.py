"""Open what the options name, and carry out command lines, in an event loop of their own."""

import asyncio
import signal
import sys

from qmpserver.cli.command_line import Answer, Failure, Given, Tool
from qmpserver.cli.images.images import Images
from qmpserver.cli.images.wanted import Wanted
from qmpserver.cli.io.line_input import LineInput
from qmpserver.cli.io.opening import open_in
from qmpserver.cli.io.session import ToolSession
from qmpserver.cli.io.table import TABLE
from qmpserver.cli.reports import Reporter
from qmpserver.errors import QMPError, error_text
from qmpserver.io_commands.command import Complaint
from qmpserver.io_commands.interpreter import run_line
from qmpserver.options.getopt import STRAY
from qmpserver.options.option_list import option_list


def run(name: str, reporter: Reporter, given: dict[str, list[str]]) -> int:
    """Carry out a whole run of the tool.

    Args:
        name: What it is called in its messages.
        reporter: Where those go.
        given: Every value of each option, by long name.

    Returns:
        The exit status.
    """
    # Ctrl-C ends it at once: no image is ever left in a state that minds.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        status = asyncio.run(_work(name, reporter, given))
    finally:
        signal.signal(signal.SIGINT, before)
    sys.stdout.flush()
    return status


async def _work(name: str, reporter: Reporter, given: dict[str, list[str]]) -> int:

    objects = {"object": given.get("object", [])}
    try:
        wanted = _wanted(given, reporter)
        async with Images(Given(Tool(name, name, ""), objects)) as images:
            session = ToolSession(images, reporter, names_are_options="image-opts" in given)
            try:
                went_well = await _commands(session, wanted, given.get("cmd", []))
            finally:
                await session.close()
    except Answer as answer:
        sys.stdout.write(str(answer))
        return 0
    except QMPError as error:
        reporter.error(error.description)
        return 1
    except Failure as failure:
        reporter.error(failure.message)
        return 1
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        reporter.error(f"could not close: {error_text(error)}")
        return 1
    return 0 if went_well else 1


def _wanted(given: dict[str, list[str]], reporter: Reporter) -> Wanted | None:
    """Return the image that the command line names, or None.

    Raises:
        QMPError: A mode has a name that there is not.
    """

    def last(option: str) -> str | None:
        return given[option][-1] if option in given else None

    wanted = Wanted(
        read_only="read-only" in given,
        temporary="snapshot" in given,
        copy_on_read="copy-on-read" in given,
        force_share="force-share" in given,
    )
    cache = "none" if "nocache" in given and "cache" not in given else last("cache")
    aio = "native" if "native-aio" in given and "aio" not in given else last("aio")
    wanted.take_modes({"cache": cache, "discard": last("discard"), "aio": aio})
    name = last(STRAY)
    if name is None:
        return None
    if "image-opts" in given:
        wanted.options = option_list([name], reporter.deprecation)
    else:
        wanted.filename = name
    if (image_format := last("format")) is not None:
        wanted.options["driver"] = image_format
    return wanted


async def _commands(session: ToolSession, wanted: Wanted | None, lines: list[str]) -> bool:
    """Open the image, and carry out all command lines; say whether all went well."""
    if wanted is not None:
        try:
            await open_in(session, wanted)
        except Complaint:
            return False
    went_well = True
    for line in lines:
        went_well &= await run_line(TABLE, session, line)
        if session.is_over:
            return went_well
    return went_well if lines else await _interact(session)


async def _interact(session: ToolSession) -> bool:
    """Carry out the lines of standard input; say whether all went well."""
    lines = LineInput(sys.stdin)
    went_well = True
    while not session.is_over:
        sys.stdout.write(f"{session.reporter.program}> ")
        sys.stdout.flush()
        line = await lines.next()
        if line is None:
            break
        went_well &= await run_line(TABLE, session, line)
    return went_well
