"""Carry out command lines."""

from qmpserver.errors import QMPError
from qmpserver.io_commands.command import Command, Complaint, Remark, Words, WrongUse
from qmpserver.io_commands.session import Session
from qmpserver.io_commands.table import Table
from qmpserver.options.getopt import UsageError


async def run_line(table: Table, session: Session, line: str) -> bool:
    """Carry a command line out, and say whether that went well.

    Words are separated by blanks, and there is no way to have a blank in one.
    """
    words = [word for word in line.split(" ") if word]
    if not words:
        return True
    name, *rest = words
    command = table.find(name)
    if command is None:
        session.voice.remark(f'command "{name}" not found')
        return False
    try:
        await command.run(session, await _prepared(session, command, name, rest))
    except (Complaint, UsageError, WrongUse, Remark, QMPError) as error:
        _explain(session, command, name, error)
        return False
    return True


async def _prepared(session: Session, command: Command, called: str, rest: list[str]) -> Words:
    """Read the words behind a command, once it is known that it can be carried out at all."""
    if command.needs_image and session.image is None:
        raise Remark("no file open, try 'help open'")
    command.check_count(called, rest)
    if command.writes and session.opened.backend.root is not None:
        if session.opened.node.read_only:
            raise QMPError("Block node is read-only")
        await session.prepare_to_write()
    return command.read(rest)


def _explain(session: Session, command: Command, called: str, error: Exception) -> None:
    match error:
        case QMPError():
            session.voice.refuse(error)
        case Remark():
            session.voice.remark(str(error))
        case UsageError():
            session.voice.remark(f"{called}: {error}")
            session.say(command.usage(called))
        case WrongUse():
            session.say(command.usage(called))
        case _ if str(error):
            session.say(str(error))
