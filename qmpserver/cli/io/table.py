"""Know all commands of the tool."""

from qmpserver.cli.io import control, opening
from qmpserver.io_commands.table import COMMANDS, Table

TABLE = Table((*COMMANDS, *control.COMMANDS, *opening.COMMANDS))
"""All of them."""
