"""Describe the interface in its own terms, as ``query-qmp-schema`` does."""

from typing import Any, assert_never

from qmpserver.schema.model import Schema
from qmpserver.schema.qapi import (
    NO_NOTES,
    Alternate,
    Array,
    Enum,
    Kind,
    Member,
    Scalar,
    Struct,
    Type,
    Union,
)

Info = dict[str, Any]

_BUILTINS = {
    Kind.STRING: ("str", "string"),
    Kind.INTEGER: ("int", "int"),
    Kind.NUMBER: ("number", "number"),
    Kind.BOOLEAN: ("bool", "boolean"),
    Kind.NULL: ("null", "null"),
    Kind.ANY: ("any", "value"),
}
"""QAPI's name of each scalar, and how JSON writes it.  Integers of all widths are one type."""

_EMPTY = Struct("", NO_NOTES)


def query_qmp_schema(schema: Schema) -> list[Info]:
    """Return every entity as ``SchemaInfo``: commands and events, then the types they use.

    The answer is made once, and again only after the schema has been added to.
    """
    answer: list[Info] | None = schema.derived.get("introspection")
    if answer is None:
        answer = schema.derived["introspection"] = _Describer().describe(schema)
    return answer


class _Describer:
    """Names types in the order of their first use, with numbers, so that nobody relies on names."""

    def __init__(self) -> None:
        self._names: dict[Any, str] = {}
        self._used: list[tuple[str, Type]] = []
        self._numbered = 0

    def describe(self, schema: Schema) -> list[Info]:
        entities: list[Info] = []
        for command in schema.commands.values():
            info: Info = {
                "name": command.name,
                "meta-type": "command",
                "arg-type": self._use(command.arguments),
                "ret-type": self._use(command.returns),
            }
            if command.allow_oob:
                info["allow-oob"] = True
            entities.append(_marked(info, command.features))
        for event in schema.events.values():
            info = {"name": event.name, "meta-type": "event", "arg-type": self._use(event.data)}
            entities.append(_marked(info, event.features))
        described = 0
        while described < len(self._used):
            name, used = self._used[described]
            entities.append({"name": name, **self._describe_type(used)})
            described += 1
        return entities

    def _use(self, used: Type) -> str:
        """Return the name of a type, and have it described when it is new."""
        key = _identity(used)
        if key not in self._names:
            self._names[key] = self._new_name(used)
            self._used.append((self._names[key], used))
        return self._names[key]

    def _new_name(self, used: Type) -> str:
        if isinstance(used, Scalar):
            return _BUILTINS[used.kind][0]
        if isinstance(used, Array):
            return f"[{self._use(used.element)}]"
        self._numbered += 1
        return str(self._numbered - 1)

    def _describe_type(self, described: Type) -> Info:
        match described:
            case Scalar():
                return {"meta-type": "builtin", "json-type": _BUILTINS[described.kind][1]}
            case Array():
                return {"meta-type": "array", "element-type": self._use(described.element)}
            case Enum():
                values = [_marked({"name": name}, notes.features) for name, notes in described.values.items()]
                info: Info = {"meta-type": "enum", "members": values, "values": list(described.values)}
                return _marked(info, described.notes.features)
            case Struct():
                info = {"meta-type": "object", "members": self._members(described.members)}
                return _marked(info, described.notes.features)
            case Union():
                return self._describe_union(described)
            case Alternate():
                branches = [{"type": self._use(branch)} for branch in described.branches]
                return {"meta-type": "alternate", "members": branches}
            case _:
                assert_never(described)

    def _describe_union(self, union: Union) -> Info:
        variants = [
            {"case": value, "type": self._use(union.branches.get(value, _EMPTY))}
            for value in union.tag_values
        ]
        info: Info = {
            "meta-type": "object",
            "members": self._members(union.members),
            "tag": union.tag,
            "variants": variants,
        }
        return _marked(info, union.notes.features)

    def _members(self, members: list[Member]) -> list[Info]:
        described = []
        for member in members:
            info: Info = {"name": member.name, "type": self._use(member.type)}
            if not member.required:
                info["default"] = None
            described.append(_marked(info, member.notes.features))
        return described


def _identity(used: Type) -> Any:
    """Return what makes two types one: all integers are, all empty objects, arrays of one element."""
    match used:
        case Scalar():
            return used.kind
        case Array():
            return "array", _identity(used.element)
        case Struct(members=[]):
            return "empty"
        case _:
            return used


def _marked(info: Info, features: tuple[str, ...]) -> Info:
    if features:
        info["features"] = list(features)
    return info
