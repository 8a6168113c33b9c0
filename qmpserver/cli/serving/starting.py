"""Say what a server that is starting can do."""

from typing import Protocol

from qmpserver.server import Server


class Starter(Protocol):
    """Brings a server from its making to where clients may come in."""

    @property
    def server(self) -> Server:
        """The server."""

    async def start(self) -> None:
        """Do all that the command line asks for, and let clients in.

        Raises:
            OptionError: It is wrong, or could not be done.
            HelpWanted: It asks for help.
        """
