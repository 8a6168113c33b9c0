"""Run a whole server: the schema, one daemon, the commands bound to it, and its monitors.

This is the API to embed:

    async with Server() as server:
        await server.execute("blockdev-add", {"driver": "null-co", "node-name": "n"})
        await server.listen("/run/test/qmp.sock")

Everything runs on the event loop the server was started on.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any, Self

from qmpserver.binding import bind_commands
from qmpserver.block.backend import BlockBackend
from qmpserver.block.opening import Gate
from qmpserver.clock import Clock, SystemClock
from qmpserver.daemon import Daemon
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.errors import CommandNotFound
from qmpserver.schema.loader import load


class Server:
    """One block layer, and the monitors it is driven by.

    Args:
        clock: What everything tells the time by; the machine's own when none is given.
        gate: Asked before a file that an image names (a backing file) is opened; raises QMPError to
            refuse.  A client's own file names are not asked about.

    Attributes:
        daemon: The graph, the jobs, the objects and the events.
    """

    def __init__(self, *, clock: Clock | None = None, gate: Gate | None = None) -> None:
        self.daemon = Daemon(load(), clock or SystemClock(), gate)
        self.commands = bind_commands(self.daemon)
        self._quit = asyncio.Event()
        self.daemon.on_shutdown = self.request_shutdown
