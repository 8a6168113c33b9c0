"""Zoned devices, of which there are none here: their commands read what they are given, and are refused."""

import errno
import os

from qmpserver.io_commands.command import Command, Complaint, Words
from qmpserver.io_commands.numbers import lengths, size_argument
from qmpserver.io_commands.session import Session

_RANGE = "offset len"


def _zone_command(name: str, alias: str, arguments: str, summary: str) -> Command:
    what = name.replace("_", " ")

    async def run(session: Session, words: Words) -> None:
        del session
        where, *rest = words.operands
        size_argument(where)
        if name == "zone_append":
            lengths(rest[:1])
        else:
            size_argument(rest[0])
        raise Complaint(f"{what} failed: {os.strerror(errno.ENOTSUP)}")

    least, most = (3, 4) if name == "zone_append" else (2, 2)
    return Command(name, run, summary, alias=alias, arguments=arguments, least=least, most=most)


COMMANDS = (
    _zone_command("zone_append", "zap", "offset len [len..]", "appends to a zone"),
    _zone_command("zone_close", "zc", _RANGE, "closes zones"),
    _zone_command("zone_finish", "zf", _RANGE, "finishes zones"),
    _zone_command("zone_open", "zo", _RANGE, "opens zones"),
    _zone_command("zone_report", "zrp", "offset number", "describes zones"),
    _zone_command("zone_reset", "zrs", _RANGE, "resets zones"),
)
