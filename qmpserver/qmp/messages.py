"""Shape what the server sends: greeting, replies, refusals, events.

A message is one line of ASCII that ends in CRLF, as QEMU's are; its outermost members come in QEMU's
order and with QEMU's spacing, because not every client out there has a parser.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

NO_ID: Final = object()
"""Stands for the `id` of a request that has none; None is an id."""

_NOT_ASCII = re.compile("[^\x00-\x7f]")
_EMPTY_REPLY: Final = b'{"return": {}}\r\n'


def greeting(version: dict[str, Any], capabilities: list[str]) -> bytes:
    """Return the first line of a connection.

    Args:
        version: As ``query-version`` returns it.
        capabilities: What a client may enable.
    """
    return b'{"QMP": %b}\r\n' % dump({"version": version, "capabilities": capabilities})


def reply(value: Any, request_id: Any = NO_ID) -> bytes:
    """Return the reply of a command that succeeded; None is for one that returns nothing."""
    if request_id is NO_ID:
        return _EMPTY_REPLY if value is None else b'{"return": %b}\r\n' % dump(value)
    return b'{"return": %b, "id": %b}\r\n' % (dump({} if value is None else value), dump(request_id))


def refusal(
    wire_class: str, description: str, request_id: Any = NO_ID, details: Mapping[str, Any] | None = None
) -> bytes:
    """Return the reply of a request that was refused; `details` are for programs, where wanted."""
    more = b"" if details is None else b', "x-details": %b' % dump(dict(details))
    error = b'"error": {"class": "%b", "desc": %b%b}}\r\n' % (wire_class.encode(), dump(description), more)
    return b"{" + error if request_id is NO_ID else b'{"id": %b, %b' % (dump(request_id), error)


def event(message: dict[str, Any]) -> bytes:
    """Return the line for an event in the shape the wire tells it."""
    return dump(message) + b"\r\n"


def indent(line: bytes) -> bytes:
    """Return the same message over several lines, for people, or as it is where it is nested too deep."""
    try:
        return json.dumps(orjson.loads(line), indent=4).replace("\n", "\r\n").encode() + b"\r\n"
    except (RecursionError, orjson.JSONDecodeError):
        # Too deep for that, as only an id can be that is meant to be.
        return line


def dump(value: Any) -> bytes:
    """Return a value as JSON, in ASCII.

    Text that is no Unicode (a file name in another encoding) shows U+FFFD for what cannot be shown.
    """
    try:
        dumped = orjson.dumps(value)
    except TypeError as error:
        if "Recursion limit" in str(error):
            # orjson stops at 254 levels; a backing chain may be longer, and an id is the client's.
            return _dump_deep(value)
        return json.dumps(_make_valid(value)).encode()
    return dumped if dumped.isascii() else _NOT_ASCII.sub(_escape, dumped.decode()).encode()


def _dump_deep(value: Any) -> bytes:
    """Return a value as JSON, however deep it is: what is still to be written waits in a list, not on the stack."""
    written: list[bytes] = []
    pending: list[Any] = [value]
    while pending:
        match pending.pop():
            case bytes() as done:
                written.append(done)
            case dict() as members:
                pending.append(b"}")
                for index, (key, member) in reversed(list(enumerate(members.items()))):
                    pending += (member, b"%b%b:" % (b"," if index else b"", dump(key)))
                written.append(b"{")
            case list() as items:
                pending.append(b"]")
                for index, item in reversed(list(enumerate(items))):
                    pending += (item, b"," if index else b"")
                written.append(b"[")
            case leaf:
                written.append(dump(leaf))
    return b"".join(written)


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be").hex().upper()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _make_valid(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {_make_valid(key): _make_valid(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_make_valid(member) for member in value]
    return value
