"""Carry out the options that act on the server, one after the other."""

import os
from collections.abc import Awaitable, Callable, Mapping

from qmpserver.chardevs.chardev import Chardev as OpenChardev
from qmpserver.chardevs.socket_chardev import ListeningChardev
from qmpserver.cli import structured
from qmpserver.cli.daemon.chardevs import Chardev, parse_chardev
from qmpserver.cli.daemon.monitors import SYSTEMD, parse_monitor, parse_short_form
from qmpserver.cli.daemon.object_help import object_help
from qmpserver.cli.daemon.ways_in import make_activated, make_chardev
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

    Call :meth:`let_clients_in` after the last option.

    Args:
        server: What the options act on.
        reporter: Where warnings go.
    """

    def __init__(self, server: Server, reporter: Reporter) -> None:
        self._server = server
        self._schema = server.daemon.schema
        self._reporter = reporter
        self._chardevs = server.daemon.chardevs
        self._monitors: list[tuple[OpenChardev, bool, str]] = []
        self._actions: Mapping[str, Callable[[Option], Awaitable[None]]] = {
            STRAY: self._stray,
            "blockdev": self._blockdev,
            "chardev": self._chardev,
            "export": self._export,
            "monitor": self._monitor,
            "nbd-server": self._nbd_server,
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

    async def let_clients_in(self) -> None:
        """Speak QMP wherever a monitor was asked for.

        Raises:
            OptionError: Somebody who listens could not be connected to.
        """
        for chardev, pretty, written in self._monitors:
            try:
                await self._server.add_chardev_monitor(chardev, pretty=pretty)
            except QMPError as error:
                raise OptionError(error.description, written) from error

    async def _stray(self, option: Option) -> None:
        raise QMPError("Unexpected argument")

    async def _blockdev(self, option: Option) -> None:
        argument = structured.parse(option.value, "driver")
        await self._server.blockdev_add(argument.as_type(self._schema.type("BlockdevOptions")))

    async def _object(self, option: Option) -> None:
        argument = structured.parse(option.value, "qom-type", lambda asked: object_help(self._schema, asked))
        await self._server.object_add(argument.as_type(self._schema.type("ObjectOptions")))

    async def _nbd_server(self, option: Option) -> None:
        argument = structured.parse(option.value, None)
        options = argument.as_type(self._schema.type("NbdServerOptions"))
        address = options["addr"]
        data = {name: value for name, value in address.items() if name != "type"}
        legacy = {**options, "addr": {"type": address["type"], "data": data}}
        await self._server.execute("nbd-server-start", legacy)

    async def _export(self, option: Option) -> None:
        argument = structured.parse(option.value, "type")
        options = argument.as_type(self._schema.type("BlockExportOptions"))
        await self._server.execute("block-export-add", options)

    async def _chardev(self, option: Option) -> None:
        chardev = parse_chardev(option.value, self._warning(option))
        self._check_new(chardev)
        await self._open(
            make_chardev(chardev), option, waits=chardev.socket is not None and chardev.socket.wait
        )

    def _check_new(self, chardev: Chardev) -> None:
        known = self._chardevs.get(chardev.chardev_id)
        if known is None:
            return
        if known.backend == chardev.backend == "socket":
            raise QMPError("duplicate yank instance")
        raise QMPError(
            f"attempt to add duplicate property '{chardev.chardev_id}' to object (type 'container')"
        )

    async def _open(self, chardev: OpenChardev, option: Option, *, waits: bool = False) -> None:
        await self._chardevs.add(chardev)
        if waits:
            assert isinstance(chardev, ListeningChardev)
            self._reporter.note(f"QEMU waiting for connection on: {chardev.filename}", option.written)
            await chardev.first_client()

    async def _monitor(self, option: Option) -> None:
        options = parse_monitor(option.value)
        chardev = self._chardevs.take(options.chardev_id)
        self._monitors.append((chardev, options.pretty, option.written))

    async def _qmp(self, option: Option) -> None:
        label = f"compat_monitor{len(self._monitors)}"
        if option.value == SYSTEMD:
            chardevs, waits = make_activated(os.environ, label), False
        else:
            parsed = parse_short_form(option.value, label, self._warning(option))
            chardevs = [make_chardev(parsed, finds_direction=True)]
            waits = parsed.socket is not None and parsed.socket.wait
        for chardev in chardevs:
            await self._open(chardev, option, waits=waits)
            self._chardevs.take(chardev.label)
            self._monitors.append((chardev, False, option.written))

    def _warning(self, option: Option) -> Callable[[str, str], None]:
        def warn(what: str, instead: str) -> None:
            self._reporter.warning(what, option.written, instead)

        return warn
