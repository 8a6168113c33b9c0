"""Carry out the options that act on the server, one after the other."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from qmpserver.cli import structured
from qmpserver.cli.daemon.chardevs import Chardev, parse_chardev
from qmpserver.cli.daemon.monitors import parse_monitor, parse_short_form
from qmpserver.cli.getopt import STRAY, Option
from qmpserver.cli.keyval import Keyval
from qmpserver.cli.reports import Reporter
from qmpserver.errors import QMPError, error_text


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

    def __init__(self, server: Any, reporter: Reporter) -> None:
        self._server = server
        self._reporter = reporter

    async def carry_out(self, option: Option) -> None:
        """Carry out one option.

        Raises:
            OptionError: It is wrong, or could not be carried out.
            HelpWanted: It asks for help.
        """
