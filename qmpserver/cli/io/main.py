"""Read the tool's own options, and answer those that ask for no work.

Nothing is imported that the words do not ask for.
"""

import os
import sys
from collections.abc import Sequence

from qmpserver.cli.command_line import Failure
from qmpserver.cli.reports import Reporter
from qmpserver.options.getopt import STRAY, OptionTable, UsageError, split
from qmpserver.version import QEMU_VERSION, __version__

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
    from qmpserver.cli.io.running import run  # noqa: PLC0415 - the answers above need no engine

    try:
        return run(name, reporter, given)
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
