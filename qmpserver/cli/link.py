"""Make links by which the program behaves as QEMU's tools: ``link DIR [NAME...]``."""

import os
import sys
import sysconfig
from collections.abc import Sequence

from qmpserver.cli.doors import word_of
from qmpserver.cli.reports import Reporter
from qmpserver.errors import QMPError, error_text
from qmpserver.options.getopt import STRAY, OptionTable, UsageError, split

PROGRAM = "qmpserver"
"""What the installed program is called."""

NAMES = ("qemu-img", "qemu-io", "qemu-nbd", "qemu-storage-daemon", "qemu-system-x86_64")
"""The links that are made when no names are given."""

_OPTIONS = OptionTable(long={"help": False}, short={"h": "help"}, takes_operands=True)

_HELP = """\
Usage: {program} link DIR [NAME...]
Make links in DIR by which the program behaves as QEMU's tools.

NAME is the name of a tool ({names})
or of a machine (qemu-system-ARCHITECTURE); without one, all the tools and {machine} are linked.
What is in DIR under such a name and is no link to {target} is left alone.

  -h, --help   show this and exit
"""


def main(program: str, words: Sequence[str]) -> int:
    """Make the links and return the exit status."""
    name = f"{program} link"
    reporter = Reporter(name)
    operands: list[str] = []
    try:
        for option in split(_OPTIONS, words):
            if option.name == "help":
                sys.stdout.write(
                    _HELP.format(
                        program=program, names=", ".join(NAMES[:-1]), machine=NAMES[-1], target=PROGRAM
                    )
                )
                return 0
            if option.name == STRAY:
                operands.append(option.value)
        if not operands:
            raise UsageError("Expecting a folder")
    except UsageError as error:
        reporter.error(str(error))
        reporter.advise(f"Try '{name} --help' for more information")
        return 1
    try:
        for line in make_links(operands[0], operands[1:] or NAMES, _installed_program()):
            print(line)
    except QMPError as error:
        reporter.error(error.description)
        return 1
    return 0


def make_links(folder: str, names: Sequence[str], target: str) -> list[str]:
    """Make links to the program, and say in a line each what was done.

    Args:
        folder: Where to; made if it is not there.
        names: What they are called.
        target: The program.

    Raises:
        QMPError: A name is no tool's, or stands for something else in the folder already; nothing has changed.
            Or a link cannot be made; those before it are there.
    """
    paths = [os.path.join(folder, name) for name in names]
    for name, path in zip(names, paths, strict=True):
        if word_of(name) is None:
            raise QMPError(f"'{name}' is not the name of a QEMU tool")
        if os.path.lexists(path) and not _is_ours(path):
            raise QMPError(f"'{path}' exists and is not a link to {PROGRAM}")
    try:
        os.makedirs(folder, exist_ok=True)
        return [_lead(path, target) for path in paths]
    except OSError as error:
        raise QMPError(f"Could not make links in '{folder}': {error_text(error)}") from error


def _is_ours(path: str) -> bool:
    """Say whether a path is a link to a program of our name, be it that of another installation."""
    return os.path.islink(path) and os.path.basename(os.readlink(path)) == PROGRAM


def _lead(path: str, target: str) -> str:
    if os.path.islink(path) and os.readlink(path) == target:
        return f"kept {path} -> {target}"
    # Under another name first, so that whoever looks finds a link at any time.
    new = f"{path}.new"
    os.symlink(target, new)
    os.replace(new, path)
    return f"made {path} -> {target}"


def _installed_program() -> str:
    """Return the path of the program as it was installed beside this interpreter.

    Raises:
        QMPError: There is none, for instance because the package is used from where it was checked out.
    """
    started = os.path.abspath(sys.argv[0])
    folders = (
        os.path.dirname(started),
        sysconfig.get_path("scripts"),
        sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")),
    )
    for folder in folders:
        candidate = os.path.join(folder, PROGRAM)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise QMPError(f"the program '{PROGRAM}' is not installed beside {sys.executable}")
