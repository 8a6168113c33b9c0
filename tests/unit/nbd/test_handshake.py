"""Handshakes: our client and our server with each other, and each with what it should not meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpserver.nbd import wire
from qmpserver.nbd.client_handshake import Conversation, HandshakeRefused, choose_export, list_exports
from qmpserver.nbd.constants import (
    OPTION_MAGIC,
    OPTION_REPLY_MAGIC,
    HandshakeFlag,
    Info,
    Option,
    OptionReply,
    TransmissionFlag,
)
from qmpserver.nbd.server_handshake import HeaderMode, Negotiated, ServerHandshake, Turn
from qmpserver.nbd.wire import ProtocolError
from tests.unit.nbd.conversation import CONTEXTS, DISK, STRICT, Catalog, talk

FIXED = wire.CLIENT_FLAGS.pack(HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES)


@pytest.mark.parametrize("piece", [1, 3, 1 << 20])
@pytest.mark.parametrize("name", ["disk", ""])
def test_both_sides_agree_on_an_export(name: str, piece: int) -> None:
    client = Conversation(choose_export(name, wanted_contexts=(*CONTEXTS[:2], "qemu:dirty-bitmap:none")))
    negotiated = talk(client, ServerHandshake(Catalog()), piece)
    assert negotiated is not None
    assert negotiated.export is DISK
    assert negotiated.mode is HeaderMode.EXTENDED
    assert negotiated.contexts == CONTEXTS[:2]
    agreed = client.result
    assert agreed.export.name == "disk"
    assert agreed.export.size == DISK.size
    assert agreed.export.description == "a disk"
    assert agreed.mode is HeaderMode.EXTENDED
    assert agreed.contexts == {1: CONTEXTS[0], 2: CONTEXTS[1]}
    assert agreed.export.flags & TransmissionFlag.SEND_DF


def test_all_exports_are_listed_with_what_is_known_of_them() -> None:
    client = Conversation(list_exports())
    assert talk(client, ServerHandshake(Catalog())) is None
    disk, strict = client.result
    assert disk.info is not None
    assert (disk.name, disk.info.size, disk.contexts) == ("disk", 1 << 20, CONTEXTS)
    assert strict.block_sizes is not None
    assert strict.block_sizes[:2] == (512, 65536)


def test_an_export_that_is_not_there_is_refused() -> None:
    client = Conversation(choose_export("nope"))
    with pytest.raises(HandshakeRefused, match="Requested export not available") as refused:
        talk(client, ServerHandshake(Catalog()))
    assert refused.value.reply is OptionReply.ERR_UNKNOWN
    assert refused.value.reported == "export 'nope' not present"


def test_without_tls_a_server_that_requires_it_shows_nothing() -> None:
    for conversation, text in (
        (choose_export("disk"), "Server requires TLS before an export is chosen"),
        (list_exports(), r"TLS negotiation required before option 3 \(list\)\nDid you forget"),
    ):
        with pytest.raises(HandshakeRefused, match=text):
            talk(Conversation(conversation), ServerHandshake(Catalog(), offers_tls=True, requires_tls=True))


def test_a_server_without_tls_rejects_it() -> None:
    with pytest.raises(HandshakeRefused, match=r"Denied by server for option 5 \(starttls\)"):
        talk(Conversation(choose_export("disk", wants_tls=True)), ServerHandshake(Catalog()))


def test_both_sides_begin_anew_behind_tls() -> None:
    server = ServerHandshake(Catalog(), offers_tls=True, requires_tls=True)
    client = Conversation(choose_export("disk", wants_tls=True))
    assert talk(client, server) is not None
    assert client.result.export.size == DISK.size


def test_what_comes_in_the_clear_after_starttls_ends_the_connection() -> None:
    server = ServerHandshake(Catalog(), offers_tls=True)
    server.feed(FIXED + wire.option(Option.STARTTLS) + wire.option(Option.LIST))
    with pytest.raises(ProtocolError, match="in the clear"):
        server.next()


def answers(*options: bytes, server: ServerHandshake | None = None) -> list[tuple[int, int, bytes]]:
    """Return the replies to options, each as option, kind and content."""
    server = server or ServerHandshake(Catalog())
    server.feed(FIXED + b"".join(options))
    replies: list[tuple[int, int, bytes]] = []
    while (item := server.next()) is not None:
        if isinstance(item, bytes):
            magic, option, kind, length = wire.OPTION_REPLY_HEADER.unpack_from(item)
            assert magic == OPTION_REPLY_MAGIC
            content = item[wire.OPTION_REPLY_HEADER.size :]
            assert len(content) == length
            replies.append((option, kind, content))
    return replies


def info_request(name: str, *wanted: Info) -> bytes:
    return wire.text(name) + wire.U16.pack(len(wanted)) + b"".join(map(wire.U16.pack, wanted))


def query(name: str, *queries: str) -> bytes:
    return wire.text(name) + wire.texts(queries)


REFUSALS = [
    (wire.option(77), OptionReply.ERR_UNSUP),
    (wire.option(Option.PEEK_EXPORT), OptionReply.ERR_UNSUP),
    (wire.option(Option.LIST, b"x"), OptionReply.ERR_INVALID),
    (wire.option(Option.GO, b""), OptionReply.ERR_INVALID),
    (wire.option(Option.GO, info_request("disk") + b"x"), OptionReply.ERR_INVALID),
    (wire.option(Option.GO, wire.text("x" * 5000) + bytes(2)), OptionReply.ERR_INVALID),
    (wire.option(Option.GO, wire.U32.pack(99) + b"short"), OptionReply.ERR_INVALID),
    (wire.option(Option.INFO, info_request("nope")), OptionReply.ERR_UNKNOWN),
    (wire.option(Option.INFO, info_request("strict")), OptionReply.ERR_BLOCK_SIZE_REQD),
    (wire.option(Option.STRUCTURED_REPLY, b"x"), OptionReply.ERR_INVALID),
    (wire.option(Option.SET_META_CONTEXT, query("disk")), OptionReply.ERR_INVALID),
    (wire.option(Option.STARTTLS), OptionReply.ERR_POLICY),
    (wire.option(Option.LIST, bytes(2 << 20)), OptionReply.ERR_TOO_BIG),
]


@pytest.mark.parametrize(("option", "reply"), REFUSALS)
def test_an_option_that_is_wrong_is_refused_and_the_next_is_answered(
    option: bytes, reply: OptionReply
) -> None:
    (_, kind, text), *rest = answers(option, wire.option(Option.LIST))
    assert kind == reply
    assert text
    assert [kind for _, kind, _ in rest] == [OptionReply.SERVER, OptionReply.SERVER, OptionReply.ACK]


def test_modes_are_agreed_on_once() -> None:
    structured, extended = wire.option(Option.STRUCTURED_REPLY), wire.option(Option.EXTENDED_HEADERS)
    kinds = [kind for _, kind, _ in answers(structured, structured, extended, extended, structured)]
    assert kinds == [
        OptionReply.ACK,
        OptionReply.ERR_INVALID,
        OptionReply.ACK,
        OptionReply.ERR_INVALID,
        OptionReply.ERR_EXT_HEADER_REQD,
    ]


@pytest.mark.parametrize(
    ("option", "queries", "contexts"),
    [
        (Option.LIST_META_CONTEXT, [], CONTEXTS),
        (Option.LIST_META_CONTEXT, ["base:"], CONTEXTS[:1]),
        (Option.LIST_META_CONTEXT, ["qemu:"], CONTEXTS[1:]),
        (Option.LIST_META_CONTEXT, ["qemu:dirty-bitmap:"], CONTEXTS[1:2]),
        (Option.LIST_META_CONTEXT, ["nope:", "qemu:allocation-depth"], CONTEXTS[2:]),
        (Option.SET_META_CONTEXT, [], ()),
        (Option.SET_META_CONTEXT, ["base:"], ()),
        (Option.SET_META_CONTEXT, [CONTEXTS[2], CONTEXTS[0], CONTEXTS[0]], (CONTEXTS[0], CONTEXTS[2])),
    ],
)
def test_contexts_are_found_by_what_is_asked(
    option: Option, queries: list[str], contexts: tuple[str, ...]
) -> None:
    _, *replies = answers(wire.option(Option.STRUCTURED_REPLY), wire.option(option, query("disk", *queries)))
    assert [content[4:].decode() for _, kind, content in replies if kind == OptionReply.META_CONTEXT] == list(
        contexts
    )
    assert replies[-1][1] == OptionReply.ACK


def test_contexts_hold_for_the_export_they_were_selected_for() -> None:
    server = ServerHandshake(Catalog())
    server.feed(FIXED + wire.option(Option.STRUCTURED_REPLY))
    server.feed(wire.option(Option.SET_META_CONTEXT, query("disk", CONTEXTS[0])))
    server.feed(wire.option(Option.GO, info_request("strict", Info.BLOCK_SIZE)))
    *_, last = iter(server.next, None)
    assert last == Negotiated(STRICT, HeaderMode.STRUCTURED, ())


def test_the_oldest_way_to_choose_has_padding_unless_both_do_without() -> None:
    for flags, length in ((HandshakeFlag.FIXED_NEWSTYLE, 10 + 124), (HandshakeFlag.NO_ZEROES, 10)):
        server = ServerHandshake(Catalog())
        server.feed(wire.CLIENT_FLAGS.pack(flags) + wire.option(Option.EXPORT_NAME, b"disk") + b"request")
        reply, negotiated = server.next(), server.next()
        assert isinstance(reply, bytes)
        assert len(reply) == length
        assert negotiated == Negotiated(DISK, HeaderMode.SIMPLE, ())
        assert server.leftover() == b"request"


@pytest.mark.parametrize(
    "data",
    [
        wire.CLIENT_FLAGS.pack(4),
        FIXED + b"x" * 16,
        FIXED + wire.OPTION_HEADER.pack(OPTION_MAGIC, Option.LIST, (32 << 20) + 1),
        FIXED + wire.option(Option.EXPORT_NAME, b"nope"),
        FIXED + wire.option(Option.EXPORT_NAME, b"x" * 4097),
        wire.CLIENT_FLAGS.pack(0) + wire.option(Option.LIST),
    ],
)
def test_who_does_not_keep_to_the_protocol_is_cut_off(data: bytes) -> None:
    server = ServerHandshake(Catalog())
    server.feed(data)
    with pytest.raises(ProtocolError):
        server.next()


def test_an_abort_is_acknowledged() -> None:
    server = ServerHandshake(Catalog())
    server.feed(FIXED + wire.option(Option.ABORT))
    assert isinstance(server.next(), bytes)
    assert server.next() is Turn.CLOSED


def test_a_client_falls_back_to_the_oldest_way() -> None:
    client = Conversation(choose_export("disk"))
    client.feed(ServerHandshake(Catalog()).greeting())
    asked: list[int] = []
    while (said := client.next()) is not None:
        assert isinstance(said, bytes)
        if len(said) < wire.OPTION_HEADER.size:
            continue
        _, option, _ = wire.OPTION_HEADER.unpack_from(said)
        asked.append(option)
        if option == Option.EXPORT_NAME:
            client.feed(wire.EXPORT.pack(7 << 20, TransmissionFlag.HAS_FLAGS))
        else:
            client.feed(wire.option_reply(option, OptionReply.ERR_UNSUP))
    assert client.result.export.size == 7 << 20
    assert client.result.mode is HeaderMode.SIMPLE
    assert asked == [Option.EXTENDED_HEADERS, Option.STRUCTURED_REPLY, Option.GO, Option.EXPORT_NAME]


@given(st.binary(max_size=400), st.booleans())
def test_random_bytes_are_refused_or_waited_for(data: bytes, has_flags: bool) -> None:
    server = ServerHandshake(Catalog())
    server.feed(FIXED + data if has_flags else data)
    try:
        while server.next() is not None:
            pass
    except ProtocolError:
        pass
    client = Conversation(choose_export("disk"))
    client.feed(ServerHandshake(Catalog()).greeting() + data)
    try:
        while client.next() is not None:
            pass
    except (ProtocolError, HandshakeRefused):
        pass
