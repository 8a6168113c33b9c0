"""Find out what is wanted at the cursor: a command, a member's name, or a member's value."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from qmpserver.shell.json_cursor import JSONPlace, find_place
from qmpserver.shell.line import arguments_of
from qmpserver.shell.words import LineError, Word, split_widely

HELP = "help"
"""The shell's own command, which takes the name of another."""

_OPEN_TRANSACTION = "transaction("
_ACTIONS = ("actions",)
_EXECUTE = ("execute", "exec-oob")


class Wanted(Enum):
    """What the cursor waits for."""

    COMMAND = "command"
    KEY = "key"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Place:
    """What is wanted, and what leads there.

    Attributes:
        wanted: What kind of thing.
        partial: What is written of it.
        command: The command whose arguments are written.
        path: The members that lead to the object; for a value with the member's own name last.
        given: The arguments as far as they are known.
        quote: The quote that a word needs here, inside JSON; empty elsewhere.
    """

    wanted: Wanted
    partial: str
    command: str = ""
    path: tuple[str, ...] = ()
    given: dict[str, Any] = field(default_factory=dict)
    quote: str = ""


def find(text: str, *, in_transaction: bool = False) -> Place | None:
    """Return what is wanted at the end of a text, or None where nothing is known of it.

    Args:
        text: The line up to the cursor.
        in_transaction: The line is one action of a transaction.
    """
    if text.lstrip().startswith("{"):
        return _in_request(find_place(text.lstrip()), in_transaction=in_transaction)
    words = split_widely(text)
    if not words or not _touches(text, words):
        words = [*words, Word("", len(text))]
    names = [word.text for word in words]
    if names[0] == _OPEN_TRANSACTION and len(names) > 1:
        names, in_transaction = names[1:], True
    elif names[0] == HELP and len(names) > 1:
        names = names[1:]
    if len(names) == 1:
        return _command(names[0], in_transaction=in_transaction)
    if in_transaction:
        given = {"actions": {"type": names[0], "data": _known(names[1:-1])}}
        return _argument(names[-1], "transaction", (*_ACTIONS, "data"), given)
    return _argument(names[-1], names[0], (), _known(names[1:-1]))


def _touches(text: str, words: Sequence[Word]) -> bool:
    """Whether the cursor is at a word."""
    return words[-1].start + len(words[-1].text) == len(text)


def _command(partial: str, *, in_transaction: bool) -> Place:
    if in_transaction:
        return Place(Wanted.VALUE, partial, "transaction", (*_ACTIONS, "type"))
    return Place(Wanted.COMMAND, partial)


def _known(words: Sequence[str]) -> dict[str, Any]:
    """Return what words say, of those that say something."""
    good: list[str] = []
    for word in words:
        try:
            arguments_of([*good, word])
        except LineError:
            continue
        good.append(word)
    return arguments_of(good)


def _argument(word: str, command: str, base: tuple[str, ...], given: dict[str, Any]) -> Place | None:
    if word.startswith("{"):
        return _in_json(find_place(word), command, base, given)
    key, equals, value = word.partition("=")
    names = tuple(key.split("."))
    if not equals:
        return Place(Wanted.KEY, names[-1], command, base + names[:-1], given)
    if value.startswith(("{", "[")):
        return _in_json(find_place(value), command, base + names, given)
    return Place(Wanted.VALUE, value, command, base + names, given)


def _in_json(
    inner: JSONPlace | None, command: str, path: tuple[str, ...], given: dict[str, Any]
) -> Place | None:
    """Return the place inside an object that is the value at a path."""
    if inner is None:
        return None
    wanted = Wanted.KEY if inner.wants_key else Wanted.VALUE
    known = _joined(given, path, inner.root)
    return Place(wanted, inner.partial, command, path + inner.path, known, inner.quote)


def _joined(given: dict[str, Any], path: Sequence[str], inner: dict[str, Any]) -> dict[str, Any]:
    """Return what is given, with an object put at a path."""
    if not path:
        return {**given, **inner}
    below = given.get(path[0])
    return {**given, path[0]: _joined(below if isinstance(below, dict) else {}, path[1:], inner)}


def _in_request(inner: JSONPlace | None, *, in_transaction: bool) -> Place | None:
    """Return the place inside a line that is JSON as a whole."""
    if inner is None:
        return None
    if in_transaction:
        return _in_json(inner, "transaction", _ACTIONS, {})
    wanted = Wanted.KEY if inner.wants_key else Wanted.VALUE
    if not inner.wants_key and len(inner.path) == 1 and inner.path[0] in _EXECUTE:
        return Place(Wanted.COMMAND, inner.partial, quote=inner.quote)
    command = next((str(inner.root[name]) for name in _EXECUTE if name in inner.root), "")
    arguments = inner.root.get("arguments")
    if inner.path[:1] != ("arguments",) or not isinstance(arguments, dict):
        return None
    return Place(wanted, inner.partial, command, inner.path[1:], arguments, inner.quote)
