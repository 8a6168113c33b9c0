"""End the tool: ``quit``."""

from qmpserver.cli.io.session import ToolSession
from qmpserver.io_commands.command import Command, Words
from qmpserver.io_commands.session import Session


async def _quit(session: Session, words: Words) -> None:
    del words
    assert isinstance(session, ToolSession)
    session.is_over = True


COMMANDS = (Command("quit", _quit, "ends the program", alias="q", most=None, needs_image=False),)
