"""Read the tool's own options, open what they name, and carry out command lines.

Nothing is imported that the words do not ask for.
"""

import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qmpserver.cli.command_line import Failure
from qmpserver.cli.reports import Reporter
from qmpserver.options.getopt import STRAY, OptionTable, UsageError, split
from qmpserver.version import QEMU_VERSION, __version__

if TYPE_CHECKING:
    from qmpserver.cli.images.wanted import Wanted
    from qmpserver.cli.io.session import ToolSession

_OPTIONS = OptionTable(
    long={
        "help": False,
        "version": False,
        "cmd": True,
        "format": True,
        "read-only": False,
        "snapshot": False,
        "nocache": False,
        "copy-on-read": False,
        "misalign": False,
        "native-aio": False,
        "aio": True,
        "cache": True,
        "discard": True,
        "trace": True,
        "force-share": False,
        "object": True,
        "image-opts": False,
    },
    short={
        "h": "help",
        "V": "version",
        "c": "cmd",
        "f": "format",
        "r": "read-only",
        "s": "snapshot",
        "n": "nocache",
        "C": "copy-on-read",
        "m": "misalign",
        "k": "native-aio",
        "i": "aio",
        "t": "cache",
        "d": "discard",
        "T": "trace",
        "U": "force-share",
    },
    takes_operands=True,
)

_HELP = """\
Usage: {name} [OPTIONS]... [-c COMMAND]... [FILE]
Make single requests to a disk image.

  -c, --cmd COMMAND      carry this command out; without any, they are read from standard input
  -f, --format FORMAT    do not find out the format but take this one
  --image-opts           FILE is a list of options (key=value,...)
  -r, --read-only        open the image read-only
  -s, --snapshot         keep what is written in a temporary overlay
  -C, --copy-on-read     store what is read from backing files
  -U, --force-share      others may write the image meanwhile
  -n, --nocache          bypass the host's page cache, as with -t none
  -t, --cache MODE       open the image in this cache mode
  -d, --discard MODE     what discards do: ignore or unmap
  -i, --aio MODE         how the host does requests: threads, native or io_uring
  -k, --native-aio       as with -i native
  -m, --misalign         have buffers at odd addresses (no difference here)
  --object OBJECT        create an object that the image needs
  -T, --trace TRACE      log in detail what matches; "help" lists what can
  -h, --help             show this and exit
  -V, --version          show the version and exit

'{name} -c help' lists the commands.
"""


def main(program: str, words: Sequence[str]) -> int:
    """Run the tool with these words and return its exit status."""
    name = program if program == "qemu-io" else f"{program} io"
    reporter = Reporter(name)
    given: dict[str, list[str]] = {}
    try:
        for option in split(_OPTIONS, words):
            if (answer := _answer(option.name, option.value, name, reporter)) is not None:
                sys.stdout.write(answer)
                return 0
            given.setdefault(option.name, []).append(option.value)
    except (UsageError, Failure) as error:
        reporter.error(str(error))
        if isinstance(error, UsageError):
            sys.stdout.write(_HELP.format(name=name))
        return 1
    if len(given.get(STRAY, ())) > 1:
        sys.stdout.write(_HELP.format(name=name))
        return 1
    if "format" in given and "image-opts" in given:
        reporter.error("--image-opts and -f are mutually exclusive")
        return 1
    try:
        return _run(name, reporter, given)
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not stumble over it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def _answer(option: str, value: str, name: str, reporter: Reporter) -> str | None:
    """Return the text that an option asks for instead of work, or None."""
    if option == "help":
        return _HELP.format(name=name)
    if option == "version":
        return f"qemu-io version {'.'.join(map(str, QEMU_VERSION))} (qmpserver {__version__})\n"
    if option == "trace":
        from qmpserver.cli import tracing  # noqa: PLC0415 - few want it

        return tracing.start(value, reporter)
    return None


def _run(name: str, reporter: Reporter, given: dict[str, list[str]]) -> int:
    import asyncio  # noqa: PLC0415 - the answers above need no event loop

    # Ctrl-C ends it at once: no image is ever left in a state that minds.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        status = asyncio.run(_work(name, reporter, given))
    finally:
        signal.signal(signal.SIGINT, before)
    sys.stdout.flush()
    return status


async def _work(name: str, reporter: Reporter, given: dict[str, list[str]]) -> int:
    from qmpserver.cli.command_line import Answer, Given, Tool  # noqa: PLC0415 - see _run
    from qmpserver.cli.images.images import Images  # noqa: PLC0415 - the answers before need no engine
    from qmpserver.cli.io.session import ToolSession  # noqa: PLC0415 - the answers before need no engine
    from qmpserver.errors import QMPError, error_text  # noqa: PLC0415 - the answers before need no engine

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


def _wanted(given: dict[str, list[str]], reporter: Reporter) -> "Wanted | None":
    """Return the image that the command line names, or None.

    Raises:
        QMPError: A mode has a name that there is not.
    """
    from qmpserver.cli.images.wanted import Wanted  # noqa: PLC0415 - see _run
    from qmpserver.options.option_list import option_list  # noqa: PLC0415 - the answers before need no engine

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


async def _commands(session: "ToolSession", wanted: "Wanted | None", lines: list[str]) -> bool:
    """Open the image, and carry out all command lines; say whether all went well."""
    from qmpserver.cli.io.opening import open_in  # noqa: PLC0415 - the answers before need no engine
    from qmpserver.cli.io.table import TABLE  # noqa: PLC0415 - see _run
    from qmpserver.io_commands.command import Complaint  # noqa: PLC0415 - see _run
    from qmpserver.io_commands.interpreter import run_line  # noqa: PLC0415 - the answers before need no engine

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


async def _interact(session: "ToolSession") -> bool:
    """Carry out the lines of standard input; say whether all went well."""
    from qmpserver.cli.io.line_input import LineInput  # noqa: PLC0415 - see _run
    from qmpserver.cli.io.table import TABLE  # noqa: PLC0415 - see _run
    from qmpserver.io_commands.interpreter import run_line  # noqa: PLC0415 - the answers before need no engine

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
