"""Carry out the options that act on the server, one after the other."""

import dataclasses
import os
from collections.abc import Awaitable, Callable, Mapping

from qmpserver.cli import structured
from qmpserver.cli.daemon.chardevs import Chardev, parse_chardev
from qmpserver.cli.daemon.monitors import SYSTEMD, parse_monitor, parse_short_form
from qmpserver.cli.daemon.object_help import object_help
from qmpserver.cli.daemon.ways_in import WayIn, open_activated, open_chardev
from qmpserver.cli.getopt import STRAY, Option
from qmpserver.cli.reports import Reporter
from qmpserver.errors import QMPError, error_text
from qmpserver.monitor.doors import Endpoint, Stdio
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

    Call :meth:`let_clients_in` after the last option, and :meth:`close` in any case, before the
    server is closed.

    Args:
        server: What the options act on.
        reporter: Where warnings go.
    """

    def __init__(self, server: Server, reporter: Reporter) -> None:
        self._server = server
        self._schema = server.daemon.schema
        self._reporter = reporter
        self._chardevs: dict[str, WayIn] = {}
        self._short_forms: list[WayIn] = []
        self._monitors: list[tuple[WayIn, bool]] = []
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

    async def let_clients_in(self) -> None:
        """Speak QMP wherever a monitor was asked for.

        Raises:
            OptionError: Somebody who listens could not be connected to.
        """
        for way_in, pretty in self._monitors:
            try:
                for endpoint in way_in.hand_over():
                    await self._server.add_monitor(dataclasses.replace(endpoint, pretty=pretty))
            except QMPError as error:
                raise OptionError(error.description, way_in.written) from error

    def close(self) -> None:
        """Close what no monitor took over, and remove the files of sockets."""
        for way_in in (*self._chardevs.values(), *self._short_forms):
            way_in.close()

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

    async def _chardev(self, option: Option) -> None:
        chardev = parse_chardev(option.value, self._warning(option))
        if chardev.backend == "stdio":
            self._claim_stdio()
        self._check_new(chardev)
        way_in = open_chardev(chardev, option.written)
        self._chardevs[chardev.chardev_id] = way_in
        await self._wait_if_asked(way_in)

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
        way_in = self._chardevs.get(options.chardev_id)
        if way_in is None:
            raise QMPError(f'chardev "{options.chardev_id}" not found')
        if way_in.is_in_use:
            raise QMPError(f"chardev '{options.chardev_id}' is already in use")
        way_in.is_in_use = True
        self._monitors.append((way_in, options.pretty))

    async def _qmp(self, option: Option) -> None:
        for way_in in self._open_short_form(option):
            self._short_forms.append(way_in)
            await self._wait_if_asked(way_in)
            self._monitors.append((way_in, False))

    def _open_short_form(self, option: Option) -> list[WayIn]:
        if option.value == SYSTEMD:
            return open_activated(os.environ, option.written)
        chardev = parse_short_form(option.value, "qmp", self._warning(option))
        if chardev.backend == "stdio":
            self._claim_stdio()
        return [open_chardev(chardev, option.written, finds_direction=True)]

    def _claim_stdio(self) -> None:
        ways_in = (*self._chardevs.values(), *self._short_forms)
        if any(way_in.endpoint == Endpoint(Stdio()) for way_in in ways_in):
            raise QMPError("cannot use stdio by multiple character devices")

    async def _wait_if_asked(self, way_in: WayIn) -> None:
        if way_in.wait:
            self._reporter.note(f"QEMU waiting for connection on: {way_in.shown}", way_in.written)
            await way_in.first_client()

    def _warning(self, option: Option) -> Callable[[str, str], None]:
        def warn(what: str, instead: str) -> None:
            self._reporter.warning(what, option.written, instead)

        return warn
