"""Lead a client's side of the handshake.

Each conversation is a generator: it yields bytes to be sent, :class:`Need` for bytes it wants to be sent in, or
:data:`~qmpserver.nbd.server_handshake.Turn.START_TLS`, and returns what was agreed.  :class:`Conversation` drives
one from whatever pieces the carrier reads.

Source: the NBD protocol, "Handshake", "Option haggling".
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

from qmpserver.nbd import wire
from qmpserver.nbd.constants import (
    INIT_MAGIC,
    MAX_PAYLOAD,
    OPTION_MAGIC,
    OPTION_REPLY_MAGIC,
    HandshakeFlag,
    Info,
    Option,
    OptionReply,
    TransmissionFlag,
)
from qmpserver.nbd.contexts import BASE_ALLOCATION
from qmpserver.nbd.export_info import ExportInfo
from qmpserver.nbd.server_handshake import HeaderMode, Turn
from qmpserver.nbd.wire import Fields, ProtocolError

MAX_REPLY: Final = 32 << 20
"""Bytes of one reply to an option; more is taken for nonsense."""

MAX_REPLIES: Final = 1 << 16
"""Replies to one option, likewise."""


@dataclass(frozen=True, slots=True)
class Need:
    """So many bytes are wanted before the conversation can go on."""

    length: int


T = TypeVar("T")
Talk: TypeAlias = Generator[bytes | Need | Turn, bytes, T]


class HandshakeRefused(Exception):
    """Report that the server does not give what was asked.

    Args:
        text: What to tell the user.
        reply: The server's reply, where there was one.
        reported: What the server itself said of it; empty for nothing.
    """

    def __init__(self, text: str, reply: OptionReply | None = None, reported: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.reply = reply
        self.reported = reported


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a client and a server have agreed on.

    Attributes:
        export: The export as the server described it.
        mode: How requests and replies are written.
        contexts: The metadata contexts selected, by number.
    """

    export: ExportInfo
    mode: HeaderMode
    contexts: dict[int, str]


class Conversation(Generic[T]):
    """Drive a conversation from pieces of input.

    Args:
        talk: The conversation.
    """

    def __init__(self, talk: Talk[T]) -> None:
        self._talk = talk
        self._buffer = bytearray()
        self._needed: int | None = None
        self._is_started = False
        self._result: T | None = None
        self.is_over = False

    @property
    def result(self) -> T:
        """What was agreed, once `is_over`."""
        assert self._result is not None
        return self._result

    def feed(self, data: bytes) -> None:
        """Add what the server sent."""
        self._buffer += data

    def leftover(self) -> bytes:
        """Return what was fed and belongs to what comes after."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def next(self) -> bytes | Turn | None:
        """Return what is to be done next; None when more bytes are needed, or it is over.

        Raises:
            ProtocolError: The server does not keep to the protocol.
            HandshakeRefused: It does not give what was asked.
        """
        while not self.is_over:
            answer = b""
            if self._needed is not None:
                if len(self._buffer) < self._needed:
                    return None
                answer = bytes(self._buffer[: self._needed])
                del self._buffer[: self._needed]
                self._needed = None
            try:
                item = self._talk.send(answer) if self._is_started else next(self._talk)
                self._is_started = True
            except StopIteration as stop:
                self._result = stop.value
                self.is_over = True
                return None
            if not isinstance(item, Need):
                return item
            self._needed = item.length
        return None


@dataclass(frozen=True, slots=True)
class _Reply:
    kind: OptionReply | int
    data: bytes

    @property
    def is_error(self) -> bool:
        return bool(self.kind & (1 << 31))

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


def choose_export(
    name: str, *, wants_tls: bool = False, wanted_contexts: tuple[str, ...] = (BASE_ALLOCATION,)
) -> Talk[Agreed]:
    """Come to terms with a server over one export, as well as the server can.

    Args:
        name: The export; empty for the server's default.
        wants_tls: Encrypt, or fail.
        wanted_contexts: The metadata contexts to select, as far as the server has them.

    Raises:
        ProtocolError: The server does not keep to the protocol.
        HandshakeRefused: It has no such export, or insists on what we do not do.
    """
    flags = yield from _begin()
    if not flags & HandshakeFlag.FIXED_NEWSTYLE:
        if wants_tls:
            raise HandshakeRefused("Server does not support STARTTLS")
        return (yield from _choose_the_oldest_way(name, HeaderMode.SIMPLE, flags))
    if wants_tls:
        yield from _start_tls()
    mode = yield from _choose_mode()
    contexts: dict[int, str] = {}
    if mode is not HeaderMode.SIMPLE and wanted_contexts:
        contexts = yield from _select_contexts(name, wanted_contexts)
    export = yield from _go(name)
    if export is None:
        agreed = yield from _choose_the_oldest_way(name, mode, flags)
        return Agreed(agreed.export, mode, contexts)
    return Agreed(export, mode, contexts)


@dataclass(frozen=True, slots=True)
class Listed:
    """An export as a server lists it.

    Attributes:
        name: What clients ask for.
        description: A sentence for people; empty for none.
        mode: How requests and replies would be written.
        info: What can be done with it, or None where the server does not say.
        block_sizes: The smallest, the preferred and the largest block, or None where the server does not say.
        contexts: The metadata contexts it has.
    """

    name: str
    description: str
    mode: HeaderMode
    info: ExportInfo | None = None
    block_sizes: tuple[int, int, int] | None = None
    contexts: tuple[str, ...] = ()


def list_exports(*, wants_tls: bool = False) -> Talk[list[Listed]]:
    """Ask a server for all its exports, with what can be known of each.

    Raises:
        ProtocolError: The server does not keep to the protocol.
        HandshakeRefused: It does not tell.
    """
    flags = yield from _begin()
    if not flags & HandshakeFlag.FIXED_NEWSTYLE:
        raise HandshakeRefused("Server does not support export lists")
    if wants_tls:
        yield from _start_tls()
    mode = yield from _choose_mode(is_asking=True)
    listed: list[Listed] = []
    for name, description in (yield from _list_names()):
        listed.append((yield from _list_one(name, description, mode)))
    yield wire.option(Option.ABORT)
    return listed


def _list_one(name: str, description: str, mode: HeaderMode) -> Talk[Listed]:
    replies = yield from _ask(Option.INFO, _info_request(name))
    if replies[-1].is_error:
        return Listed(name, description, mode)
    info = _export_of(replies, name, description)
    says_blocks = any(reply.data[:2] == wire.U16.pack(Info.BLOCK_SIZE) for reply in replies[:-1])
    blocks = (info.minimum_block, info.preferred_block, info.maximum_block) if says_blocks else None
    contexts = (yield from _list_contexts(name)) if mode is not HeaderMode.SIMPLE else []
    return Listed(info.name, info.description, mode, info, blocks, tuple(contexts))


def _begin() -> Talk[HandshakeFlag]:
    """Take the greeting and answer it."""
    magic, _, flags = wire.GREETING.unpack((yield Need(wire.GREETING.size)))
    if magic != INIT_MAGIC:
        raise ProtocolError(f"Bad initial magic received: 0x{magic:x}")
    if _ != OPTION_MAGIC:
        raise ProtocolError("Server is of the old style")
    known = HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES
    accepted = HandshakeFlag(flags & known.value)
    yield wire.CLIENT_FLAGS.pack(accepted)
    return accepted


def _ask(option: Option, data: bytes = b"") -> Talk[list[_Reply]]:
    """Send an option and return all replies to it; the last one ends them."""
    yield wire.option(option, data)
    replies: list[_Reply] = []
    while True:
        header = yield Need(wire.OPTION_REPLY_HEADER.size)
        magic, asked, kind, length = wire.OPTION_REPLY_HEADER.unpack(header)
        if magic != OPTION_REPLY_MAGIC:
            raise ProtocolError("Unexpected option reply magic")
        if asked != option:
            raise ProtocolError(f"Unexpected option type {asked}, expected {option.value}")
        if length > MAX_REPLY or len(replies) >= MAX_REPLIES:
            raise ProtocolError("Too long a reply to an option")
        replies.append(_Reply(kind, (yield Need(length)) if length else b""))
        if kind == OptionReply.ACK or replies[-1].is_error:
            return replies


def _start_tls() -> Talk[None]:
    (*_, reply) = yield from _ask(Option.STARTTLS)
    if reply.is_error:
        raise _refusal(f"Denied by server for option {Option.STARTTLS.value} (starttls)", reply)
    yield Turn.START_TLS


def _choose_mode(*, is_asking: bool = False) -> Talk[HeaderMode]:
    """Agree on the best way to write requests and replies.

    Whoever is only asking is told with the next option that TLS is wanted.
    """
    for option, mode in (
        (Option.EXTENDED_HEADERS, HeaderMode.EXTENDED),
        (Option.STRUCTURED_REPLY, HeaderMode.STRUCTURED),
    ):
        (*_, reply) = yield from _ask(option)
        if not reply.is_error:
            return mode
        if reply.kind == OptionReply.ERR_TLS_REQD and not is_asking:
            raise _refusal("Server requires TLS before an export is chosen", reply)
    return HeaderMode.SIMPLE


def _select_contexts(name: str, wanted: tuple[str, ...]) -> Talk[dict[int, str]]:
    replies = yield from _ask(Option.SET_META_CONTEXT, wire.text(name) + wire.texts(wanted))
    if replies[-1].is_error:
        return {}
    return dict(_context_of(reply) for reply in replies[:-1])


def _list_contexts(name: str) -> Talk[list[str]]:
    replies = yield from _ask(Option.LIST_META_CONTEXT, wire.text(name) + wire.texts(()))
    if replies[-1].is_error:
        return []
    return [_context_of(reply)[1] for reply in replies[:-1]]


def _context_of(reply: _Reply) -> tuple[int, str]:
    if reply.kind != OptionReply.META_CONTEXT or len(reply.data) <= wire.U32.size:
        raise ProtocolError("Unexpected reply about metadata contexts")
    return int.from_bytes(reply.data[:4], "big"), reply.data[4:].decode("utf-8", "surrogateescape")


def _list_names() -> Talk[list[tuple[str, str]]]:
    replies = yield from _ask(Option.LIST)
    if replies[-1].is_error:
        raise _refusal(_LIST_REFUSED.get(replies[-1].kind, "Server does not list its exports"), replies[-1])
    names: list[tuple[str, str]] = []
    for reply in replies[:-1]:
        fields = Fields(reply.data)
        try:
            name = fields.text(MAX_REPLY)
        except ValueError as error:
            raise ProtocolError("Unexpected reply about exports") from error
        names.append((name, fields.rest().decode("utf-8", "replace")))
    return names


_LIST_REFUSED: Final[dict[int, str]] = {
    OptionReply.ERR_POLICY: "Denied by server for option 3 (list)",
    OptionReply.ERR_TLS_REQD: "TLS negotiation required before option 3 (list)\nDid you forget a valid tls-creds?",
    OptionReply.ERR_SHUTDOWN: "Server shutting down before option 3 (list)",
}


def _info_request(name: str) -> bytes:
    wanted = (Info.NAME, Info.DESCRIPTION, Info.BLOCK_SIZE)
    return wire.text(name) + wire.U16.pack(len(wanted)) + b"".join(map(wire.U16.pack, wanted))


def _go(name: str) -> Talk[ExportInfo | None]:
    """Choose the export; None from a server that does not know the option."""
    replies = yield from _ask(Option.GO, _info_request(name))
    if replies[-1].kind == OptionReply.ERR_UNSUP:
        return None
    return _export_of(replies, name, "")


def _export_of(replies: list[_Reply], name: str, description: str) -> ExportInfo:
    """Put together what a server told of an export."""
    if replies[-1].is_error:
        raise _refusal("Requested export not available", replies[-1])
    size: int | None = None
    flags = 0
    minimum, preferred, maximum = 1, 4096, MAX_PAYLOAD
    for reply in replies[:-1]:
        fields = Fields(reply.data)
        try:
            match fields.u16():
                case Info.EXPORT:
                    size, flags = fields.u64(), fields.u16()
                case Info.NAME:
                    name = fields.rest().decode("utf-8", "surrogateescape")
                case Info.DESCRIPTION:
                    description = fields.rest().decode("utf-8", "replace")
                case Info.BLOCK_SIZE:
                    minimum, preferred, maximum = fields.u32(), fields.u32(), fields.u32()
        except ValueError as error:
            raise ProtocolError("Unexpected reply about an export") from error
    if size is None:
        raise ProtocolError("Server told nothing of the export")
    _check_blocks(minimum, preferred, maximum)
    return ExportInfo(name, size, TransmissionFlag(flags), description, minimum, preferred, maximum)


def _check_blocks(minimum: int, preferred: int, maximum: int) -> None:
    if not _is_power(minimum) or not _is_power(preferred) or minimum > preferred:
        raise ProtocolError(f"Server's block sizes {minimum} and {preferred} make no sense")
    if maximum < minimum:
        raise ProtocolError(f"Server's largest block {maximum} is smaller than its smallest")


def _is_power(number: int) -> bool:
    return number > 0 and not number & (number - 1)


def _choose_the_oldest_way(name: str, mode: HeaderMode, flags: HandshakeFlag) -> Talk[Agreed]:
    """Choose an export by an option that is answered with the export itself, or with silence."""
    yield wire.option(Option.EXPORT_NAME, name.encode("utf-8", "surrogateescape"))
    size, transmission = wire.EXPORT.unpack((yield Need(wire.EXPORT.size)))
    if not flags & HandshakeFlag.NO_ZEROES:
        yield Need(len(wire.ZERO_PADDING))
    return Agreed(ExportInfo(name, size, TransmissionFlag(transmission)), mode, {})


def _refusal(text: str, reply: _Reply) -> HandshakeRefused:
    known = OptionReply(reply.kind) if reply.kind in frozenset(OptionReply) else None
    return HandshakeRefused(text, known, reply.text)
