"""Make types out of the definitions in schema documents."""

from collections.abc import Mapping
from typing import Any

from qmpserver.schema.qapi import (
    Alternate,
    Array,
    Enum,
    IntFormat,
    Kind,
    Member,
    Notes,
    Scalar,
    Struct,
    Type,
    Union,
)

Definition = Mapping[str, Any]

_REFERENCE = "#/$defs/"


class DefinitionError(Exception):
    """Report a definition that is outside our dialect of JSON Schema."""


def notes(definition: Definition) -> Notes:
    """Take what a definition says in words."""
    return Notes(
        definition.get("description", ""), definition.get("since", ""), tuple(definition.get("features", ()))
    )


class TypeBuilder:
    """Makes each named type once, when it is first asked for.

    Names are unique over all documents, so a reference's file part is for other validators only.

    Args:
        definitions: Every named definition.
    """

    def __init__(self, definitions: Mapping[str, Definition]) -> None:
        self._definitions = definitions
        self._made: dict[str, Type] = {}

    def named(self, name: str) -> Type:
        """Return the type called `name`.

        Raises:
            KeyError: There is none.
        """
        if name not in self._made:
            self._make_named(name, self._definitions[name])
        return self._made[name]

    def type(self, definition: Definition) -> Type:
        """Make a type written in place, or return the one it refers to."""
        reference = definition.get("$ref")
        if reference is not None:
            return self.named(reference.partition(_REFERENCE)[2])
        match definition.get("type"):
            case "object":
                return self.struct("", definition)
            case "array":
                return Array(self.type(definition["items"]))
            case "integer":
                return Scalar(Kind.INTEGER, IntFormat(definition["format"]))
            case None:
                return Scalar(Kind.ANY)
            case kind:
                return Scalar(Kind(kind))

    def struct(self, name: str, definition: Definition) -> Struct:
        """Make a struct, be it for use by itself or as a union's branch."""
        made = Struct(name, notes(definition), is_open=definition.get("additionalProperties", False))
        if name:
            self._made[name] = made
        made.members.extend(self._members(definition))
        return made

    def _make_named(self, name: str, definition: Definition) -> None:
        """Register the type before its parts are made, since it may contain itself."""
        if "discriminator" in definition:
            self._make_union(name, definition)
        elif "oneOf" in definition:
            alternate = self._made[name] = Alternate(name, notes(definition))
            alternate.branches.extend(self.type(branch) for branch in definition["oneOf"])
        elif "enum" in definition:
            said = definition.get("values", {})
            values = {value: notes(said.get(value, {})) for value in definition["enum"]}
            self._made[name] = Enum(name, notes(definition), values)
        elif definition.get("type") == "object":
            self.struct(name, definition)
        else:
            raise DefinitionError(f"'{name}' is neither enum, struct, union nor alternate")

    def _make_union(self, name: str, definition: Definition) -> None:
        tag = definition["discriminator"]["propertyName"]
        union = self._made[name] = Union(name, notes(definition), tag)
        union.members.extend(self._members(definition))
        for branch in definition["oneOf"]:
            if "$ref" not in branch:
                continue
            further = self.type(branch)
            if not isinstance(further, Struct | Union):
                raise DefinitionError(f"a branch of '{name}' has no members")
            union.branches[branch["properties"][tag]["const"]] = further

    def _members(self, definition: Definition) -> list[Member]:
        required = definition.get("required", ())
        return [
            Member(name, self.type(member), name in required, notes(member), member.get("x-names", ""))
            for name, member in definition.get("properties", {}).items()
        ]
