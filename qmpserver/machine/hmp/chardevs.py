"""Add, change and use character devices and descriptors: ``chardev-*``, ``ringbuf_*``, ``getfd``, ``closefd``."""

from qmpserver.chardevs.chardev import Chardev
from qmpserver.chardevs.making import make_chardev
from qmpserver.chardevs.options import parse_chardev
from qmpserver.errors import QMPError
from qmpserver.machine.hmp.command import Arguments, HumanCommand, calling
from qmpserver.machine.hmp.parameters import Kind, text
from qmpserver.machine.hmp.session import HumanSession
from qmpserver.options.structured import HelpWanted


def _made(written: str) -> Chardev:
    return make_chardev(parse_chardev(written, lambda _what, _instead: None))


async def _add(session: HumanSession, arguments: Arguments) -> str:
    chardevs = session.machine.chardevs
    try:
        chardev = _made(arguments["args"])
    except HelpWanted as answer:
        return f"{answer}\n"
    if chardevs.get(chardev.label) is not None:
        raise QMPError(f"attempt to add duplicate property '{chardev.label}' to object (type 'container')")
    await chardevs.add(chardev)
    return ""


async def _change(session: HumanSession, arguments: Arguments) -> str:
    chardevs, label = session.machine.chardevs, arguments["id"]
    old = chardevs.get(label)
    if old is None:
        raise QMPError(f"Chardev '{label}' does not exist")
    chardevs.check_free(old)
    try:
        chardev = _made(f"{arguments['args']},id={label}")
    except HelpWanted as answer:
        return f"{answer}\n"
    await chardevs.replace(old, chardev)
    return ""


async def _read(session: HumanSession, arguments: Arguments) -> str:
    data = await session.call("ringbuf-read", dict(arguments))
    # What a terminal would act on is shown as its number.
    shown = "".join(
        character
        if character in "\t\n" or (character >= " " and character not in "\\\x7f")
        else "\\\\"
        if character == "\\"
        else f"\\u{ord(character):04X}"
        for character in data
    )
    return f"{shown}\n"


COMMANDS = (
    HumanCommand("chardev-add", _add, "make a character device", "args", (text("args", Kind.REST),)),
    HumanCommand(
        "chardev-change",
        _change,
        "put another character device in the place of one",
        "id args",
        (text("id"), text("args", Kind.REST)),
    ),
    HumanCommand(
        "chardev-remove", calling("chardev-remove"), "close a character device", "id", (text("id"),)
    ),
    HumanCommand(
        "chardev-send-break",
        calling("chardev-send-break"),
        "send a break to a character device",
        "id",
        (text("id"),),
    ),
    HumanCommand(
        "closefd", calling("closefd"), "close a descriptor that was passed", "closefd name", (text("fdname"),)
    ),
    HumanCommand(
        "getfd",
        calling("getfd"),
        "give a name to the descriptor that was passed",
        "getfd name",
        (text("fdname"),),
    ),
    HumanCommand(
        "ringbuf_read",
        _read,
        "take out what a buffer holds",
        "device size",
        (text("device"), text("size", Kind.INTEGER)),
    ),
    HumanCommand(
        "ringbuf_write",
        calling("ringbuf-write"),
        "put something into a buffer",
        "device data",
        (text("device"), text("data")),
    ),
)
