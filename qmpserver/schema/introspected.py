"""Make a schema of what a server's ``query-qmp-schema`` returned: any server's, this or QEMU's.

Such an answer has the structure but no words.  Where the schema of this package knows a thing of the same place and
name, it lends its description, its type's name, and what the value names; the structure is the server's.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from qmpserver.schema.model import Command, Event
from qmpserver.schema.qapi import (
    NO_NOTES,
    Alternate,
    Array,
    Enum,
    Kind,
    Member,
    Notes,
    Scalar,
    Struct,
    Type,
    Union,
)

Info = Mapping[str, Any]

_KINDS = {
    "string": Kind.STRING,
    "int": Kind.INTEGER,
    "number": Kind.NUMBER,
    "boolean": Kind.BOOLEAN,
    "null": Kind.NULL,
    "value": Kind.ANY,
}
"""A scalar's kind by how JSON writes it."""

_CLASSES: Mapping[str, tuple[type, ...]] = {
    "builtin": (Scalar,),
    "enum": (Enum,),
    "array": (Array,),
    "object": (Struct, Union),
}
"""What a kind of entity is made into."""

_NO_EVENTS: Mapping[str, Event] = {}


class IntrospectedMessage(ABC):
    """A message that the server understands or sends.

    Args:
        info: What the server says of it.
        types: The server's types.
        description: What it is for, or an empty string.

    Attributes:
        name: Its name on the wire.
        description: What it is for, or an empty string.
        features: Its marks, as ``deprecated`` or ``unstable``.
    """

    def __init__(self, info: Info, types: "_Types", description: str) -> None:
        self.name: str = info["name"]
        self.description = description
        self.features: tuple[str, ...] = tuple(info.get("features", ()))
        self._info = info
        self._types = types

    @abstractmethod
    def _lender(self) -> Type | None:
        """Return the type that lends the arguments words, if there is one."""

    @cached_property
    def arguments(self) -> Struct | Union:
        """The type of a command's arguments, or of an event's data."""
        described = self._types.make(self._info["arg-type"], self._lender())
        return described if isinstance(described, Struct | Union) else Struct("", NO_NOTES)


class IntrospectedCommand(IntrospectedMessage):
    """A command of the server's."""

    def __init__(self, info: Info, types: "_Types", known: Command | None) -> None:
        super().__init__(info, types, known.description if known else "")
        self._known = known

    def _lender(self) -> Type | None:
        return self._known.arguments if self._known else None

    @cached_property
    def returns(self) -> Type:
        """The type of the reply."""
        return self._types.make(self._info["ret-type"], self._known.returns if self._known else None)


class IntrospectedEvent(IntrospectedMessage):
    """An event of the server's."""

    def __init__(self, info: Info, types: "_Types", known: Event | None) -> None:
        super().__init__(info, types, known.description if known else "")
        self._known = known

    def _lender(self) -> Type | None:
        return self._known.data if self._known else None


class IntrospectedSchema:
    """What a server knows.

    Args:
        answer: What ``query-qmp-schema`` returned.
        known: The commands that lend their words, by name.
        known_events: The events that do.

    Attributes:
        commands: The server's commands by name.
        events: Its events by name.
    """

    def __init__(
        self,
        answer: Iterable[Info],
        known: Mapping[str, Command],
        known_events: Mapping[str, Event] = _NO_EVENTS,
    ) -> None:
        entities = list(answer)
        types = _Types({info["name"]: info for info in entities})
        self.commands = {
            info["name"]: IntrospectedCommand(info, types, known.get(info["name"]))
            for info in entities
            if info["meta-type"] == "command"
        }
        self.events = {
            info["name"]: IntrospectedEvent(info, types, known_events.get(info["name"]))
            for info in entities
            if info["meta-type"] == "event"
        }


class _Types:
    """Makes types when they are wanted, each once beside each type that lends it words."""

    def __init__(self, entities: Mapping[str, Info]) -> None:
        self._entities = entities
        self._made: dict[tuple[str, int], Type] = {}

    def make(self, name: str, known: Type | None) -> Type:
        """Return the type of that name, in the words of the known one."""
        key = (name, id(known))
        if key not in self._made:
            self._make(key, self._entities[name], known)
        return self._made[key]

    def _make(self, key: tuple[str, int], info: Info, known: Type | None) -> None:
        match info["meta-type"]:
            case "builtin":
                kind = _KINDS[info["json-type"]]
                is_same = isinstance(known, Scalar) and known.kind is kind
                self._made[key] = known if is_same and known is not None else Scalar(kind)
            case "array":
                element = known.element if isinstance(known, Array) else None
                self._made[key] = Array(self.make(info["element-type"], element))
            case "enum":
                self._made[key] = _enum(info, known if isinstance(known, Enum) else None)
            case "alternate":
                self._alternate(key, info, known if isinstance(known, Alternate) else None)
            case _:
                self._object(key, info, known if isinstance(known, Struct | Union) else None)

    def _alternate(self, key: tuple[str, int], info: Info, known: Alternate | None) -> None:
        made = Alternate(*(_words(known)))
        self._made[key] = made
        for branch in info["members"]:
            like = self._like(branch["type"], known.branches if known else ())
            made.branches.append(self.make(branch["type"], like))

    def _like(self, name: str, branches: Sequence[Type]) -> Type | None:
        """Return the branch that JSON writes as it writes the type."""
        wanted = _CLASSES.get(self._entities[name]["meta-type"], ())
        return next((branch for branch in branches if isinstance(branch, wanted)), None)

    def _object(self, key: tuple[str, int], info: Info, known: Struct | Union | None) -> None:
        name, notes = _words(known)
        made = Union(name, notes, info["tag"]) if "tag" in info else Struct(name, notes)
        self._made[key] = made
        made.members += self._members(info, known)
        if isinstance(made, Union):
            branches = known.branches if isinstance(known, Union) else {}
            for variant in info["variants"]:
                branch = self.make(variant["type"], branches.get(variant["case"]))
                if isinstance(branch, Struct | Union):
                    made.branches[variant["case"]] = branch

    def _members(self, info: Info, known: Struct | Union | None) -> list[Member]:
        like = {member.name: member for member in known.members} if known else {}
        return [self._member(member, like.get(member["name"])) for member in info["members"]]

    def _member(self, info: Info, known: Member | None) -> Member:
        described = self.make(info["type"], known.type if known else None)
        notes = _noted(info, known.notes if known else NO_NOTES)
        return Member(info["name"], described, "default" not in info, notes, known.names if known else "")


def _enum(info: Info, known: Enum | None) -> Enum:
    # `values` is all that versions before 7.0 tell.
    members = info.get("members") or [{"name": value} for value in info["values"]]
    like = known.values if known else {}
    name, notes = _words(known)
    return Enum(
        name,
        notes,
        {member["name"]: _noted(member, like.get(member["name"], NO_NOTES)) for member in members},
    )


def _noted(info: Info, known: Notes) -> Notes:
    """Return notes with the known words and the server's marks."""
    return Notes(known.description, known.since, tuple(info.get("features", ())))


def _words(known: Enum | Struct | Union | Alternate | None) -> tuple[str, Notes]:
    return (known.name, known.notes) if known else ("", NO_NOTES)
