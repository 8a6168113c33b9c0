"""Say what the monitor must know of a command, and what a command may know of its client."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from qmpserver.monitor.fds import FdSets, FdStore
from qmpserver.qmp.features import Features
from qmpserver.sockets import Peer


class Client(Protocol):
    """The connection that a command came over.

    Attributes:
        client_id: Its number, counted from 1 in one monitor.
        peer: Who it is.
        fds: The descriptors it passed.
        fd_sets: The sets that all clients share.
    """

    client_id: int
    peer: Peer
    fds: FdStore
    fd_sets: FdSets

    @property
    def features(self) -> Features:
        """What is switched on for it."""


@dataclass(frozen=True, slots=True)
class BoundCommand:
    """A command that can be carried out.

    Attributes:
        name: Its name on the wire.
        check: Takes the arguments as they came and returns those to run with; raises QMPError.
        run: Carries it out; returns what the command returns, or a coroutine of it.  Raises QMPError,
            or OSError for what the machine refuses.
        allow_oob: It never waits, and may overtake others.
        detached: It may wait for long, and only for others: those that come after it do not wait for
            it, and it is broken off when its client is gone or the server ends.
        changes: It alters something, so that who asked for it is logged.
    """

    name: str
    check: Callable[[dict[str, Any] | None], dict[str, Any]]
    run: Callable[[Client, dict[str, Any]], Any]
    allow_oob: bool = False
    detached: bool = False
    changes: bool = False
