"""Carry out the options that act on the server, one after the other."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence

from qmpserver.chardevs.chardev import Chardev as OpenChardev
from qmpserver.chardevs.options import Chardev, parse_chardev
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving.monitors import SYSTEMD, parse_monitor, parse_short_form
from qmpserver.cli.serving.option_error import told_of
from qmpserver.cli.serving.ways_in import make_activated, open_chardev
from qmpserver.errors import QMPError
from qmpserver.options import structured
from qmpserver.options.getopt import STRAY, Option
from qmpserver.options.object_help import object_help
from qmpserver.server import Server


class Startup:
    """Acts on a server that is starting.

    Args:
        options: What to carry out.
        reporter: Where warnings go.

    Attributes:
        server: What the options act on.
    """

    def __init__(self, options: Sequence[Option], reporter: Reporter) -> None:
        self.server = server = Server()
        self._options = options
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

    async def start(self) -> None:
        """Carry out all options in order, then let clients in.

        Raises:
            OptionError: One is wrong, or could not be carried out.
            HelpWanted: One asks for help.
        """
        for option in self._options:
            await self._carry_out(option)
        await self._let_clients_in()

    async def _carry_out(self, option: Option) -> None:
        with told_of(option.written):
            await self._actions[option.name](option)

    async def _let_clients_in(self) -> None:
        for chardev, pretty, written in self._monitors:
            with told_of(written):
                await self.server.add_chardev_monitor(chardev, pretty=pretty)

    async def _stray(self, option: Option) -> None:
        raise QMPError("Unexpected argument")

    async def _blockdev(self, option: Option) -> None:
        argument = structured.parse(option.value, "driver")
        await self.server.blockdev_add(argument.as_type(self._schema.type("BlockdevOptions")))

    async def _object(self, option: Option) -> None:
        argument = structured.parse(option.value, "qom-type", lambda asked: object_help(self._schema, asked))
        await self.server.object_add(argument.as_type(self._schema.type("ObjectOptions")))

    async def _nbd_server(self, option: Option) -> None:
        argument = structured.parse(option.value, None)
        options = argument.as_type(self._schema.type("NbdServerOptions"))
        address = options["addr"]
        data = {name: value for name, value in address.items() if name != "type"}
        legacy = {**options, "addr": {"type": address["type"], "data": data}}
        await self.server.execute("nbd-server-start", legacy)

    async def _export(self, option: Option) -> None:
        argument = structured.parse(option.value, "type")
        options = argument.as_type(self._schema.type("BlockExportOptions"))
        await self.server.execute("block-export-add", options)

    async def _chardev(self, option: Option) -> None:
        chardev = parse_chardev(option.value, self._warning(option))
        self._check_new(chardev)
        await open_chardev(self._chardevs, chardev, self._reporter, option.written)

    def _check_new(self, chardev: Chardev) -> None:
        known = self._chardevs.get(chardev.chardev_id)
        if known is None:
            return
        if known.backend == chardev.backend == "socket":
            raise QMPError("duplicate yank instance")
        raise QMPError(
            f"attempt to add duplicate property '{chardev.chardev_id}' to object (type 'container')"
        )

    async def _monitor(self, option: Option) -> None:
        options = parse_monitor(option.value)
        chardev = self._chardevs.take(options.chardev_id)
        self._monitors.append((chardev, options.pretty, option.written))

    async def _qmp(self, option: Option) -> None:
        label = f"compat_monitor{len(self._monitors)}"
        if option.value == SYSTEMD:
            chardevs = make_activated(os.environ, label)
            for chardev in chardevs:
                await self._chardevs.add(chardev)
        else:
            parsed = parse_short_form(option.value, label, self._warning(option))
            opened = await open_chardev(
                self._chardevs, parsed, self._reporter, option.written, finds_direction=True
            )
            chardevs = [opened]
        for chardev in chardevs:
            self._chardevs.take(chardev.label)
            self._monitors.append((chardev, False, option.written))

    def _warning(self, option: Option) -> Callable[[str, str], None]:
        def warn(what: str, instead: str) -> None:
            self._reporter.warning(what, option.written, instead)

        return warn
