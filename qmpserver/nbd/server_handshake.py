"""Lead a server's side of the handshake.

The carrier pulls::

    handshake.feed(data)
    while (item := handshake.next()) is not None:
        ...          # bytes: send them; START_TLS: encrypt from here; Negotiated: go over to transmission

:class:`~qmpserver.nbd.wire.ProtocolError` and the item CLOSED end the connection.

Source: the NBD protocol, "Handshake", "Option haggling".
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from qmpserver.nbd import contexts, wire
from qmpserver.nbd.constants import (
    INIT_MAGIC,
    MAX_NAME,
    OPTION_MAGIC,
    HandshakeFlag,
    Info,
    Option,
    OptionReply,
    TransmissionFlag,
)
from qmpserver.nbd.export_info import Catalog, ExportInfo
from qmpserver.nbd.wire import Fields, ProtocolError, option_reply

MAX_OPTION: Final = 32 << 20
"""Bytes of one option's data; a client that announces more is cut off."""

_KEPT_OPTION: Final = 1 << 20
"""Bytes of an option's data that are kept; longer ones are read past and refused."""


class HeaderMode(enum.Enum):
    """How requests and replies are written."""

    SIMPLE = "simple"
    STRUCTURED = "structured"
    EXTENDED = "extended"


class Turn(enum.Enum):
    """What the carrier is to do besides sending."""

    START_TLS = "start-tls"
    """Encrypt from here; both sides begin anew with the options."""
    CLOSED = "closed"
    """The client has taken its leave."""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """How transmission is to go.

    Attributes:
        export: What the client chose.
        mode: How requests and replies are written.
        contexts: The metadata contexts it selected; each has the number of its place, from 1.
    """

    export: ExportInfo
    mode: HeaderMode
    contexts: tuple[str, ...]


class _Refused(Exception):
    """Refuse one option; the client may go on."""

    def __init__(self, reply: OptionReply, text: str) -> None:
        super().__init__(text)
        self.reply = reply
        self.text = text


class ServerHandshake:
    """One client's handshake.

    Args:
        catalog: What is offered.
        offers_tls: The client may ask for encryption.
        requires_tls: Without it, it gets to see nothing.
    """

    def __init__(self, catalog: Catalog, *, offers_tls: bool = False, requires_tls: bool = False) -> None:
        self._catalog = catalog
        self._offers_tls = offers_tls
        self._requires_tls = requires_tls
        self._is_encrypted = False
        self._buffer = bytearray()
        self._has_client_flags = False
        self._client_flags = HandshakeFlag(0)
        self._skipping = 0
        self._skipped_option: int | None = None
        self._mode = HeaderMode.SIMPLE
        self._selected_for: str | None = None
        self._selected: tuple[str, ...] = ()
        self._out: list[bytes | Turn | Negotiated] = []
        self._options: dict[Option, Callable[[bytes], None]] = {
            Option.ABORT: self._abort,
            Option.LIST: self._list,
            Option.INFO: self._info,
            Option.GO: self._go,
            Option.STARTTLS: self._start_tls,
            Option.STRUCTURED_REPLY: self._structured_reply,
            Option.EXTENDED_HEADERS: self._extended_headers,
            Option.LIST_META_CONTEXT: self._list_contexts,
            Option.SET_META_CONTEXT: self._set_contexts,
        }

    def greeting(self) -> bytes:
        """Return what the server says first."""
        flags = HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES
        return wire.GREETING.pack(INIT_MAGIC, OPTION_MAGIC, flags)

    def feed(self, data: bytes) -> None:
        """Add what the client sent."""
        self._buffer += data

    def leftover(self) -> bytes:
        """Return what was fed and belongs to what comes after the handshake."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def next(self) -> bytes | Turn | Negotiated | None:
        """Return what is to be done next, None when more bytes are needed.

        Raises:
            ProtocolError: The client does not keep to the protocol.
        """
        while not self._out:
            if not self._advance():
                return None
        return self._out.pop(0)

    def _advance(self) -> bool:
        """Deal with the next piece of input; say whether there was a whole one."""
        if not self._has_client_flags:
            return self._read_client_flags()
        if self._skipped_option is not None:
            return self._skip()
        return self._read_option()

    def _read_client_flags(self) -> bool:
        if len(self._buffer) < wire.CLIENT_FLAGS.size:
            return False
        (flags,) = wire.CLIENT_FLAGS.unpack(self._take(wire.CLIENT_FLAGS.size))
        known = HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES
        if flags & ~known.value:
            raise ProtocolError(f"unknown client flags {flags:#x}")
        self._client_flags = HandshakeFlag(flags)
        self._has_client_flags = True
        return True

    def _read_option(self) -> bool:
        header = wire.OPTION_HEADER
        if len(self._buffer) < header.size:
            return False
        magic, kind, length = header.unpack_from(self._buffer)
        if magic != OPTION_MAGIC:
            raise ProtocolError("option without its magic number")
        if length > MAX_OPTION:
            raise ProtocolError(f"option {kind} of {length} bytes")
        if length > _KEPT_OPTION:
            del self._buffer[: header.size]
            self._skipping, self._skipped_option = length, kind
            return True
        if len(self._buffer) < header.size + length:
            return False
        del self._buffer[: header.size]
        self._carry_out(kind, self._take(length))
        return True

    def _skip(self) -> bool:
        """Read past an option that is too long to be kept, then refuse it."""
        now = min(self._skipping, len(self._buffer))
        del self._buffer[:now]
        self._skipping -= now
        if self._skipping:
            return False
        kind, self._skipped_option = self._skipped_option, None
        assert kind is not None
        self._refuse(kind, _Refused(OptionReply.ERR_TOO_BIG, "option too long"))
        return True

    def _take(self, length: int) -> bytes:
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken

    # Options

    def _carry_out(self, kind: int, data: bytes) -> None:
        is_shut = self._requires_tls and not self._is_encrypted
        if kind == Option.EXPORT_NAME:
            if is_shut:
                raise ProtocolError("export asked for before TLS")
            self._export_name(data)
            return
        if not self._client_flags & HandshakeFlag.FIXED_NEWSTYLE:
            raise ProtocolError(f"option {kind} from a client that is not fixed newstyle")
        try:
            if is_shut and kind not in (Option.STARTTLS, Option.ABORT):
                raise _Refused(OptionReply.ERR_TLS_REQD, f"Option {kind:#x} not permitted before TLS")
            carry_out = self._options.get(Option(kind)) if kind in _KNOWN_OPTIONS else None
            if carry_out is None:
                raise _Refused(OptionReply.ERR_UNSUP, f"Unsupported option {kind}")
            try:
                carry_out(data)
            except ValueError as error:
                raise _Refused(OptionReply.ERR_INVALID, str(error)) from error
        except _Refused as refused:
            self._refuse(kind, refused)

    def _refuse(self, kind: int, refused: _Refused) -> None:
        self._out.append(option_reply(kind, refused.reply, refused.text.encode()))

    def _acknowledge(self, kind: Option) -> None:
        self._out.append(option_reply(kind, OptionReply.ACK))

    def _export_name(self, data: bytes) -> None:
        """Answer the oldest way to choose an export, which leaves no room for a refusal."""
        if len(data) > MAX_NAME:
            raise ProtocolError("export name too long")
        name = data.decode("utf-8", "surrogateescape")
        export = self._catalog.find(name)
        if export is None:
            raise ProtocolError(f"export '{name}' not present")
        if self._mode is HeaderMode.EXTENDED:
            raise ProtocolError("export chosen the oldest way after extended headers")
        reply = wire.EXPORT.pack(export.size, self._flags_of(export))
        if not self._client_flags & HandshakeFlag.NO_ZEROES:
            reply += wire.ZERO_PADDING
        self._out += [reply, self._negotiated(name, export)]

    def _negotiated(self, name: str, export: ExportInfo) -> Negotiated:
        # Contexts hold for the export they were selected for, by whatever name it was called.
        selected = self._selected if self._selected_for in (name, export.name) else ()
        return Negotiated(export, self._mode, selected)

    def _flags_of(self, export: ExportInfo) -> TransmissionFlag:
        flags = export.flags | TransmissionFlag.HAS_FLAGS
        if self._mode is not HeaderMode.SIMPLE:
            flags |= TransmissionFlag.SEND_DF
        if self._mode is HeaderMode.EXTENDED and self._selected:
            flags |= TransmissionFlag.BLOCK_STATUS_PAYLOAD
        return flags

    def _abort(self, data: bytes) -> None:
        del data
        self._acknowledge(Option.ABORT)
        self._out.append(Turn.CLOSED)

    def _list(self, data: bytes) -> None:
        Fields(data).end()
        for name, description in self._catalog.names():
            content = wire.text(name) + description.encode()
            self._out.append(option_reply(Option.LIST, OptionReply.SERVER, content))
        self._acknowledge(Option.LIST)

    def _info(self, data: bytes) -> None:
        self._tell(Option.INFO, data)

    def _go(self, data: bytes) -> None:
        name, export = self._tell(Option.GO, data)
        self._out.append(self._negotiated(name, export))

    def _tell(self, kind: Option, data: bytes) -> tuple[str, ExportInfo]:
        """Answer INFO and GO alike: tell of the export, or refuse."""
        fields = Fields(data)
        name = fields.text(MAX_NAME)
        wanted = {fields.u16() for _ in range(fields.u16())}
        fields.end()
        export = self._find(name)
        knows_blocks = Info.BLOCK_SIZE in wanted
        if kind is Option.INFO and not knows_blocks and export.minimum_block > 1:
            text = "request NBD_INFO_BLOCK_SIZE to use this export"
            raise _Refused(OptionReply.ERR_BLOCK_SIZE_REQD, text)
        if Info.NAME in wanted:
            self._tell_text(kind, Info.NAME, export.name)
        if Info.DESCRIPTION in wanted and export.description:
            self._tell_text(kind, Info.DESCRIPTION, export.description)
        # To a client that did not ask, every request is allowed, and answered by reading around it.
        minimum = export.minimum_block if knows_blocks else 1
        blocks = (minimum, export.preferred_block, export.maximum_block)
        self._out += [
            option_reply(kind, OptionReply.INFO, wire.INFO_BLOCK_SIZE.pack(Info.BLOCK_SIZE, *blocks)),
            option_reply(
                kind,
                OptionReply.INFO,
                wire.INFO_EXPORT.pack(Info.EXPORT, export.size, self._flags_of(export)),
            ),
        ]
        self._acknowledge(kind)
        return name, export

    def _tell_text(self, kind: Option, info: Info, text: str) -> None:
        content = wire.U16.pack(info) + text.encode("utf-8", "surrogateescape")
        self._out.append(option_reply(kind, OptionReply.INFO, content))

    def _find(self, name: str) -> ExportInfo:
        export = self._catalog.find(name)
        if export is None:
            raise _Refused(OptionReply.ERR_UNKNOWN, f"export '{name}' not present")
        return export

    def _start_tls(self, data: bytes) -> None:
        Fields(data).end()
        if not self._offers_tls:
            raise _Refused(OptionReply.ERR_POLICY, "TLS not configured")
        if self._is_encrypted:
            raise _Refused(OptionReply.ERR_INVALID, "TLS already enabled")
        if self._buffer:
            # What came in the clear after the request must not count as encrypted.
            raise ProtocolError("bytes in the clear after STARTTLS")
        self._acknowledge(Option.STARTTLS)
        self._out.append(Turn.START_TLS)
        self._is_encrypted = True
        self._mode = HeaderMode.SIMPLE
        self._selected, self._selected_for = (), None

    def _structured_reply(self, data: bytes) -> None:
        Fields(data).end()
        if self._mode is HeaderMode.EXTENDED:
            raise _Refused(OptionReply.ERR_EXT_HEADER_REQD, "extended headers already negotiated")
        if self._mode is HeaderMode.STRUCTURED:
            raise _Refused(OptionReply.ERR_INVALID, "structured reply already negotiated")
        self._mode = HeaderMode.STRUCTURED
        self._acknowledge(Option.STRUCTURED_REPLY)

    def _extended_headers(self, data: bytes) -> None:
        Fields(data).end()
        if self._mode is HeaderMode.EXTENDED:
            raise _Refused(OptionReply.ERR_INVALID, "extended headers already negotiated")
        self._mode = HeaderMode.EXTENDED
        self._acknowledge(Option.EXTENDED_HEADERS)

    # Metadata contexts

    def _list_contexts(self, data: bytes) -> None:
        _, export, queries = self._read_queries(data)
        for name in contexts.listed(queries, export.contexts):
            self._tell_context(Option.LIST_META_CONTEXT, 0, name)
        self._acknowledge(Option.LIST_META_CONTEXT)

    def _set_contexts(self, data: bytes) -> None:
        # Whatever becomes of this option, what was selected before counts no more.
        self._selected, self._selected_for = (), None
        name, export, queries = self._read_queries(data)
        selected = tuple(contexts.chosen(queries, export.contexts))
        for number, context in enumerate(selected, 1):
            self._tell_context(Option.SET_META_CONTEXT, number, context)
        self._acknowledge(Option.SET_META_CONTEXT)
        self._selected, self._selected_for = selected, name

    def _read_queries(self, data: bytes) -> tuple[str, ExportInfo, list[str]]:
        if self._mode is HeaderMode.SIMPLE:
            raise ValueError("metadata contexts need structured replies")
        fields = Fields(data)
        name = fields.text(MAX_NAME)
        count = fields.u32()
        if count > contexts.MAX_CONTEXTS:
            raise _Refused(OptionReply.ERR_TOO_BIG, "too many queries")
        queries = [fields.text(MAX_NAME) for _ in range(count)]
        fields.end()
        return name, self._find(name), queries

    def _tell_context(self, kind: Option, number: int, name: str) -> None:
        content = wire.U32.pack(number) + name.encode("utf-8", "surrogateescape")
        self._out.append(option_reply(kind, OptionReply.META_CONTEXT, content))


_KNOWN_OPTIONS: Final = frozenset(Option)
