"""Say what may come next, for a shell that completes what a person types."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qmpserver.schema.qapi import Alternate, Array, Enum, Kind, Member, Scalar, Struct, Type, Union


class CommandShape(Protocol):
    """What has to be known of a command."""

    name: str
    description: str
    features: tuple[str, ...]

    @property
    def arguments(self) -> Struct | Union:
        """The type of the arguments."""


class SchemaShape(Protocol):
    """What has to be known of a schema: ours, or one that a server has told."""

    @property
    def commands(self) -> Mapping[str, CommandShape]:
        """Every command by name."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One thing that may come next.

    Attributes:
        text: What to type.
        description: What it is, for a person.
        required: A member that may not be left out.
        is_deprecated: There is something better by now.
    """

    text: str
    description: str = ""
    required: bool = False
    is_deprecated: bool = False


@dataclass(frozen=True, slots=True)
class ValueHint:
    """What a member's value may be.

    Attributes:
        choices: The values, where they are a closed set.
        names: What the value names (`node`, `job`, `object`, `file`, ...), or an empty string.
        expected: What is to be written, in a few words.
    """

    choices: tuple[Suggestion, ...]
    names: str
    expected: str


def commands(schema: SchemaShape) -> list[Suggestion]:
    """Return every command."""
    return [
        Suggestion(command.name, command.description, is_deprecated="deprecated" in command.features)
        for command in schema.commands.values()
    ]


def members(
    schema: SchemaShape, command: str, path: Sequence[str] = (), given: Mapping[str, Any] | None = None
) -> list[Suggestion]:
    """Return the members that an object inside a command's arguments may have.

    Args:
        schema: Where commands and types come from.
        command: The command's name.
        path: The members that lead to the object; none for the arguments themselves.
        given: The arguments as far as they are known; a tag among them decides a union's members.

    Returns:
        The members not yet given, in the schema's order; none where nothing is known of the place.
    """
    place = _find(schema, command, path, given or {})
    if place is None:
        return []
    here, already = place
    return [
        Suggestion(
            member.name,
            member.notes.description,
            member.required,
            "deprecated" in member.notes.features,
        )
        for member in _members_of(here, already)
        if member.name not in already
    ]


def value(
    schema: SchemaShape, command: str, path: Sequence[str], given: Mapping[str, Any] | None = None
) -> ValueHint | None:
    """Return what the value of a member may be, or None where there is no such member.

    Args:
        schema: Where commands and types come from.
        command: The command's name.
        path: The members that lead to the value, its own name last.
        given: The arguments as far as they are known.
    """
    *outer, last = path
    place = _find(schema, command, outer, given or {})
    if place is None:
        return None
    for member in _members_of(*place):
        if member.name == last:
            return ValueHint(tuple(_choices(member.type)), _names(member), describe(member.type))
    return None


def describe(described: Type) -> str:
    """Name a type in the fewest words."""
    match described:
        case Scalar(kind=Kind.INTEGER):
            return described.format.value
        case Scalar():
            return described.kind.value
        case Array():
            return f"array of {describe(described.element)}"
        case _:
            return described.name or "object"


def _choices(described: Type) -> Iterator[Suggestion]:
    match described:
        case Enum():
            for name, notes in described.values.items():
                yield Suggestion(name, notes.description, is_deprecated="deprecated" in notes.features)
        case Scalar(kind=Kind.BOOLEAN):
            yield from (Suggestion("true"), Suggestion("false"))
        case Array():
            yield from _choices(described.element)
        case Alternate():
            for branch in described.branches:
                yield from _choices(branch)
        case _:
            return


def _names(member: Member) -> str:
    """Return what a member names; one that takes a node's options in place takes its name too."""
    if not member.names and isinstance(member.type, Alternate) and member.type.name.startswith("BlockdevRef"):
        return "node"
    return member.names


def _find(
    schema: SchemaShape, command: str, path: Sequence[str], given: Mapping[str, Any]
) -> tuple[Struct | Union, Mapping[str, Any]] | None:
    """Follow a path to an object; return its type and what of it is given."""
    if command not in schema.commands:
        return None
    here: Struct | Union = schema.commands[command].arguments
    for name in path:
        found = next((member for member in _members_of(here, given) if member.name == name), None)
        inner = None if found is None else _object_in(found.type)
        if inner is None:
            return None
        here = inner
        below = given.get(name)
        given = below if isinstance(below, Mapping) else {}
    return here, given


def _object_in(described: Type) -> Struct | Union | None:
    """Return the object that a value of the type may be, or may hold."""
    match described:
        case Struct() | Union():
            return described
        case Array():
            return _object_in(described.element)
        case Alternate():
            return next((found for branch in described.branches if (found := _object_in(branch))), None)
        case _:
            return None


def _members_of(here: Struct | Union, given: Mapping[str, Any]) -> list[Member]:
    parts = here.parts(given) if isinstance(here, Union) else (here,)
    return [member for part in parts for member in part.members]
