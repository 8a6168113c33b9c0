"""Lead one client's conversation: greeting, negotiation, then requests in band and out of band.

The session is pulled by its carrier, which reads bytes, runs commands and writes what comes out::

    session.feed(data)
    while (item := session.take()) is not None:
        ...                     # bytes: send them; a Request: run it and send its reply

In-band requests are given one at a time: while one is suspended, only requests that may overtake it
are given, and only to a client that has enabled ``oob``.  Others wait in a queue of eight, as in
QEMU; without ``oob`` nothing is decoded ahead.
"""

import enum
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from qmpserver.errors import CommandNotFound, QMPError
from qmpserver.qmp.decoder import NEED_DATA, Decoder
from qmpserver.qmp.features import Features
from qmpserver.qmp.messages import NO_ID, greeting, refusal, reply
from qmpserver.qmp.parser import JSONError
from qmpserver.qmp.requests import CAPABILITIES, Request, read_capabilities, read_request

QUEUE_LENGTH = 8
"""In-band requests that wait while another is carried out."""

_NEGOTIATE = "qmp_capabilities"


class Command(Protocol):
    """What the session must know about a command."""

    @property
    def allow_oob(self) -> bool:
        """Whether it may be run out of band."""


class Mode(enum.Enum):
    """How far the conversation is."""

    NEGOTIATION = "negotiation"
    COMMAND = "command"


class Session:
    """One client's side of the protocol.

    Args:
        version: As ``query-version`` returns it, for the greeting.
        commands: Every command but ``qmp_capabilities``, by name.

    Attributes:
        mode: Events are for sessions in :attr:`Mode.COMMAND` only.
        features: What is switched on beyond QEMU's wire.
    """

    def __init__(self, version: dict[str, Any], commands: Mapping[str, Command]) -> None:
        self.mode = Mode.NEGOTIATION
        self.features = Features()
        self._version = version
        self._commands = commands
        self._decoder = Decoder()
        self._queue: deque[Request | bytes] = deque()
        self._oob_enabled = False
        self._is_suspended = False

    def greeting(self) -> bytes:
        """Return what to send first."""
        return greeting(self._version, list(CAPABILITIES))

    def feed(self, data: bytes) -> None:
        """Add what the client sent."""
        self._decoder.feed(data)

    @property
    def wants_input(self) -> bool:
        """Whether more bytes could lead to anything now; if not, reading should stop."""
        if self._is_suspended:
            return self._oob_enabled and len(self._queue) < QUEUE_LENGTH and not self._decoder.has_input
        return not self._queue and not self._decoder.has_input

    @property
    def is_idle(self) -> bool:
        """Whether everything that the client sent has been dealt with, save an unfinished message."""
        return not (self._is_suspended or self._queue or self._decoder.has_input)

    def suspend(self) -> None:
        """Note that the in-band request given last is under way and will take its time."""
        self._is_suspended = True

    def resume(self) -> None:
        """Note that the in-band request under way has ended."""
        self._is_suspended = False

    def take(self) -> Request | bytes | None:
        """Return what is to be done next: a request to run, a refusal to send, or None.

        A request names an existing command, and one that may be run in the way it asks for.
        """
        if self._is_suspended:
            return self._take_overtaking()
        if self._queue:
            return self._queue.popleft()
        return self._decode()

    def _take_overtaking(self) -> Request | bytes | None:
        """Return a request out of band, and queue the others on the way to it."""
        if not self._oob_enabled:
            return None
        while len(self._queue) < QUEUE_LENGTH:
            item = self._decode()
            if item is None or (isinstance(item, Request) and item.is_oob):
                return item
            self._queue.append(item)
        return None

    def _decode(self) -> Request | bytes | None:
        message = None
        try:
            message = self._decoder.next()
            if message is NEED_DATA:
                return None
            request = read_request(
                message, oob_enabled=self._oob_enabled, keys_enabled=self.features.request_keys
            )
            command = self._commands.get(request.name)
            if (
                self.mode is Mode.COMMAND
                and command is not None
                and (not request.is_oob or command.allow_oob)
            ):
                return request
            return self._answer(request)
        except JSONError as error:
            return refusal("GenericError", error.description)
        except QMPError as error:
            return self.refusal(error, message.get("id", NO_ID) if isinstance(message, dict) else NO_ID)

    def refusal(self, error: QMPError, request_id: Any = NO_ID) -> bytes:
        """Return the reply of a request that was refused, with as much as this client wants to know."""
        details = error.details if self.features.error_details else None
        return refusal(error.wire_class, error.description, request_id, details)

    def _answer(self, request: Request) -> bytes:
        """Deal with a request that is the session's own, or not possible."""
        if self.mode is Mode.NEGOTIATION:
            if request.name != _NEGOTIATE:
                raise CommandNotFound(f"Expecting capabilities negotiation with '{_NEGOTIATE}'")
            self._oob_enabled = "oob" in read_capabilities(request.arguments)
            self.mode = Mode.COMMAND
            return reply(None, request.request_id)
        if request.is_oob and (request.name in self._commands or request.name == _NEGOTIATE):
            raise QMPError(f"The command {request.name} does not support OOB")
        if request.name == _NEGOTIATE:
            read_capabilities(request.arguments)
            raise CommandNotFound("Capabilities negotiation is already complete, command ignored")
        raise CommandNotFound(f"The command {request.name} has not been found")
