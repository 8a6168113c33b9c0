"""Explain commands and events from the schema."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qmpserver.schema import completion
from qmpserver.schema.completion import SchemaShape
from qmpserver.schema.introspected import IntrospectedEvent, IntrospectedSchema
from qmpserver.schema.qapi import Struct
from qmpserver.shell.line import arguments_of
from qmpserver.shell.words import LineError

GENERAL = """\
COMMAND KEY=VALUE...         run a command; KEY.KEY=VALUE reaches into objects
COMMAND {"KEY": VALUE}       the same in JSON, for text that has blanks or looks like a number
{"execute": COMMAND, ...}    send a request as it is
transaction(                 begin a transaction; each line is an action, and ) ends it
help COMMAND [KEY=VALUE...]  explain a command; with a value that decides, what may go with it
help COMMAND KEY             explain a member
help EVENT                   explain an event
exit                         leave; the server goes on ("quit" ends the server)

VALUE is a whole number, true or false, an object or list in JSON or Python's way, or else text, with its quotes.
"""
"""How lines are written."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: a name, what it may be, and what it is."""

    name: str
    type: str
    note: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What there is to say.

    Attributes:
        title: The command, or the member after the command.
        text: What it is.
        rows: Its members or values, if it has any.
    """

    title: str
    text: str
    rows: Sequence[Row] = ()


def explain(schema: IntrospectedSchema, words: Sequence[str]) -> Explanation:
    """Explain a command, or a member of its arguments, or an event.

    Args:
        schema: What the server knows.
        words: The command, then arguments that decide what else there may be, then perhaps a dotted name;
            or an event.

    Raises:
        LineError: There is no such command, member or event.
    """
    name, *rest = words
    if name in schema.events:
        event = schema.events[name]
        text = " ".join(part for part in (event.description, _marks(event.features)) if part)
        return Explanation(f"{name} (event)", text, _rows(_Events(schema.events), name, [], {}))
    if name not in schema.commands:
        near = difflib.get_close_matches(name, [*schema.commands, *schema.events], 1)
        raise LineError(f"There is no command '{name}'" + (f"; is it '{near[0]}'?" if near else ""))
    path = rest.pop().split(".") if rest and "=" not in rest[-1] else []
    given = arguments_of(rest)
    if path:
        return _member(schema, name, path, given)
    command = schema.commands[name]
    rows = _rows(schema, name, [], given)
    returns = completion.describe(command.returns)
    is_silent = isinstance(command.returns, Struct) and not command.returns.members
    text = " ".join(part for part in (command.description, _marks(command.features)) if part)
    return Explanation(name, text + ("" if is_silent else f"\nReturns {returns}."), rows)


@dataclass(frozen=True, slots=True)
class _Events:
    """Events as if they were commands: their data has members as arguments have."""

    commands: Mapping[str, IntrospectedEvent]


def _member(
    schema: IntrospectedSchema, command: str, path: list[str], given: Mapping[str, Any]
) -> Explanation:
    hint = completion.value(schema, command, path, given)
    if hint is None:
        raise LineError(f"'{command}' has no '{'.'.join(path)}' here")
    above = completion.members(schema, command, path[:-1])
    text = next((one.description for one in above if one.text == path[-1]), "")
    choices = [Row(one.text, "", one.description) for one in hint.choices]
    rows = choices + _rows(schema, command, path, given)
    return Explanation(f"{command} {'.'.join(path)}", f"{hint.expected}. {text}".strip(), rows)


def _rows(schema: SchemaShape, command: str, path: list[str], given: Mapping[str, Any]) -> list[Row]:
    return [
        Row(one.text, _type(schema, command, [*path, one.text], given, one), _note(one))
        for one in completion.members(schema, command, path, given)
    ]


def _type(
    schema: SchemaShape,
    command: str,
    path: list[str],
    given: Mapping[str, Any],
    member: completion.Suggestion,
) -> str:
    hint = completion.value(schema, command, path, given)
    return ("" if hint is None else hint.expected) + ("" if member.required else ", optional")


def _note(member: completion.Suggestion) -> str:
    return member.description + (" (deprecated)" if member.is_deprecated else "")


def _marks(features: Sequence[str]) -> str:
    return f"({', '.join(features)})" if features else ""
