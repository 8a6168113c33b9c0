"""Carry out the options that act on the server, one after the other."""

from collections.abc import Awaitable, Callable, Mapping

from qmpserver.cli import structured
from qmpserver.cli.daemon.chardevs import Chardev, parse_chardev
from qmpserver.cli.daemon.monitors import SYSTEMD, parse_monitor, parse_short_form
from qmpserver.cli.daemon.object_help import object_help
from qmpserver.cli.getopt import STRAY, Option
from qmpserver.cli.reports import Reporter
from qmpserver.errors import QMPError, error_text
from qmpserver.server import Server


class OptionError(Exception):
    """Report that an option could not be carried out.

    Args:
        message: What is wrong.
        about: The option as it was written, or nothing.
    """

    def __init__(self, message: str, about: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.about = about


class Startup:
    """Acts on a server that is starting.

    Args:
        server: What the options act on.
        reporter: Where warnings go.
    """

    def __init__(self, server: Server, reporter: Reporter) -> None:
        self._server = server
        self._schema = server.daemon.schema
        self._reporter = reporter
        self._chardevs: dict[str, Chardev] = {}
        self._in_use: set[str] = set()
        self._short_forms = 0
        self._actions: Mapping[str, Callable[[Option], Awaitable[None]]] = {
            STRAY: self._stray,
            "blockdev": self._blockdev,
            "chardev": self._chardev,
            "export": self._not_supported,
            "monitor": self._monitor,
            "nbd-server": self._not_supported,
            "object": self._object,
            "qmp": self._qmp,
        }

    async def carry_out(self, option: Option) -> None:
        """Carry out one option.

        Raises:
            OptionError: It is wrong, or could not be carried out.
            HelpWanted: It asks for help.
        """
        try:
            await self._actions[option.name](option)
        except QMPError as error:
            raise OptionError(error.description, option.written) from error
        except OSError as error:
            raise OptionError(error_text(error), option.written) from error

    async def _stray(self, option: Option) -> None:
        raise QMPError("Unexpected argument")

    async def _not_supported(self, option: Option) -> None:
        raise QMPError(f"--{option.name} is not supported yet")

    async def _blockdev(self, option: Option) -> None:
        argument = structured.parse(option.value, "driver")
        await self._server.blockdev_add(argument.as_type(self._schema.type("BlockdevOptions")))

    async def _object(self, option: Option) -> None:
        argument = structured.parse(option.value, "qom-type", lambda asked: object_help(self._schema, asked))
        await self._server.object_add(argument.as_type(self._schema.type("ObjectOptions")))
