"""Carry out command lines."""

from qmpserver.cli.getopt import UsageError
from qmpserver.cli.io import table
from qmpserver.cli.io.command import Command, Complaint, Remark, Words, WrongUse
from qmpserver.cli.io.session import Session
from qmpserver.errors import QMPError


async def run_line(session: Session, line: str) -> bool:
    """Carry a command line out, and say whether that went well.

    Words are separated by blanks, and there is no way to have a blank in one.
    """
    words = [word for word in line.split(" ") if word]
    if not words:
        return True
    name, *rest = words
    command = table.find(name)
    if command is None:
        session.remark(f'command "{name}" not found')
        return False
    try:
        await command.run(session, _prepared(session, command, name, rest))
    except (Complaint, UsageError, WrongUse, Remark, QMPError) as error:
        _explain(session, command, name, error)
        return False
    return True


def _prepared(session: Session, command: Command, called: str, rest: list[str]) -> Words:
    """Read the words behind a command, once it is known that it can be carried out at all."""
    if command.needs_image and session.image is None:
        raise Remark("no file open, try 'help open'")
    command.check_count(called, rest)
    if command.writes and session.opened.node.read_only:
        raise QMPError("Block node is read-only")
    return command.read(rest)


def _explain(session: Session, command: Command, called: str, error: Exception) -> None:
    match error:
        case QMPError():
            session.refuse(error)
        case Remark():
            session.remark(str(error))
        case UsageError():
            session.remark(f"{called}: {error}")
            print(command.usage(called))
        case WrongUse():
            print(command.usage(called))
        case _ if str(error):
            print(error)
