"""Say what may be written at the cursor: from the server's schema, and from the names that live in the server."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qmpserver.schema import completion
from qmpserver.schema.completion import SchemaShape, Suggestion
from qmpserver.schema.introspected import IntrospectedSchema
from qmpserver.shell.cursor import HELP, Place, Wanted, find

NamesOf = Callable[[str, Mapping[str, Any], str], Awaitable[Sequence[str]]]
"""Gives the living names of a kind; the arguments beside, and what is written already, may narrow them."""


_OWN_WORDS = (
    Suggestion("help", "Explain a command."),
    Suggestion("exit", "Leave; the server goes on."),
    Suggestion("transaction(", "Begin a transaction, an action in each line."),
)


@dataclass(frozen=True, slots=True)
class Completion:
    """A way to go on.

    Attributes:
        text: What replaces what was written of the word.
        replaces: How many characters before the cursor that is.
        shown: The word as a list shows it.
        note: What it is, for a person.
        is_deprecated: There is something better by now.
    """

    text: str
    replaces: int
    shown: str
    note: str = ""
    is_deprecated: bool = False


async def complete(
    text: str, schema: IntrospectedSchema, names_of: NamesOf, *, in_transaction: bool = False
) -> list[Completion]:
    """Return the ways to go on at the end of a text.

    Args:
        text: The line up to the cursor.
        schema: What the server knows.
        names_of: Asks for what lives in the server.
        in_transaction: The line is one action of a transaction.
    """
    place = find(text, in_transaction=in_transaction)
    if place is None:
        return []
    match place.wanted:
        case Wanted.COMMAND:
            found = completion.commands(schema)
            if text.lstrip().startswith(f"{HELP} "):
                found += [Suggestion(event.name, event.description) for event in schema.events.values()]
            elif not place.quote:
                found += _OWN_WORDS
            return _fitting(place, sorted(found, key=lambda one: one.text))
        case Wanted.KEY:
            return _keys(place, schema)
        case Wanted.VALUE:
            return await _values(place, schema, names_of)


def _keys(place: Place, schema: SchemaShape) -> list[Completion]:
    found = completion.members(schema, place.command, place.path, place.given)
    found.sort(key=lambda one: (not one.required, one.is_deprecated))
    if place.quote:
        return _fitting(place, found, ending=": ")
    return [
        one
        for suggestion in found
        for ending in _endings(place, schema, suggestion.text)
        for one in _fitting(place, [suggestion], ending=ending)
    ]


def _endings(place: Place, schema: SchemaShape, name: str) -> list[str]:
    """Return what may follow a member's name: a value, or the names of members below it."""
    path = (*place.path, name)
    hint = completion.value(schema, place.command, path, place.given)
    has_members = bool(completion.members(schema, place.command, path, place.given))
    is_named = hint is not None and bool(hint.names or hint.choices)
    return [*(["="] if is_named or not has_members else []), *(["."] if has_members else [])]


async def _values(place: Place, schema: SchemaShape, names_of: NamesOf) -> list[Completion]:
    hint = completion.value(schema, place.command, place.path, place.given)
    if hint is None:
        return []
    found = list(hint.choices)
    if hint.names:
        names = await names_of(hint.names, _around(place), _bare(place))
        found += [Suggestion(name, hint.names) for name in names]
    return _fitting(place, found)


def _around(place: Place) -> Mapping[str, Any]:
    """Return the members beside the wanted one, as far as they are given."""
    here: Any = place.given
    for name in place.path[:-1]:
        here = here.get(name, {}) if isinstance(here, dict) else {}
    return here if isinstance(here, dict) else {}


def _bare(place: Place) -> str:
    return place.partial.lstrip("\"'") if place.quote else place.partial


def _fitting(place: Place, found: Sequence[Suggestion], ending: str = "") -> list[Completion]:
    """Return those that go on from what is written."""
    partial = _bare(place)
    return [
        Completion(
            _quoted(one.text, place.quote) + ending,
            len(place.partial),
            one.text + ending.strip(": "),
            ("required: " if one.required else "") + one.description,
            one.is_deprecated,
        )
        for one in found
        if one.text.startswith(partial)
    ]


def _quoted(text: str, quote: str) -> str:
    """Put a word into quotes where it is one; true, false and numbers need none."""
    is_bare = text in ("true", "false", "null") or text.isdigit()
    return text if not quote or is_bare else f"{quote}{text}{quote}"
