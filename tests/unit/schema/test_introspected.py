"""The way back from an introspection to a schema."""

import json
from typing import Any

from qmpserver.schema.introspect import query_qmp_schema
from qmpserver.schema.introspected import IntrospectedSchema
from qmpserver.schema.model import Schema
from qmpserver.schema.qapi import Alternate, Array, Enum, Scalar, Struct, Type, Union


def same(made: Type, ours: Type, seen: set[tuple[int, int]]) -> bool:
    """Whether a type is ours again, with its words, as far as an introspection tells."""
    if (id(made), id(ours)) in seen:
        return True
    seen.add((id(made), id(ours)))
    return alike(made, ours, seen)


def alike(made: Type, ours: Type, seen: set[tuple[int, int]]) -> bool:
    if isinstance(made, Struct | Union) and isinstance(ours, Struct | Union):
        return same_members(made, ours, seen) and same_branches(made, ours, seen)
    match made, ours:
        case Scalar(), Scalar():
            return made.kind is ours.kind
        case Array(), Array():
            return same(made.element, ours.element, seen)
        case Enum(), Enum():
            return made.values.keys() == ours.values.keys() and made.notes == ours.notes
        case Alternate(), Alternate():
            return all(same(*pair, seen) for pair in zip(made.branches, ours.branches, strict=True))
    return False


def same_members(made: Struct | Union, ours: Struct | Union, seen: set[tuple[int, int]]) -> bool:
    return all(
        (mine.name, mine.required, mine.names, mine.notes)
        == (theirs.name, theirs.required, theirs.names, theirs.notes)
        and same(mine.type, theirs.type, seen)
        for mine, theirs in zip(made.members, ours.members, strict=True)
    )


def same_branches(made: Struct | Union, ours: Struct | Union, seen: set[tuple[int, int]]) -> bool:
    if not (isinstance(made, Union) and isinstance(ours, Union)):
        return type(made) is type(ours)
    empty = Struct("", ours.notes)
    return made.tag == ours.tag and all(
        same_members(made.branches[tag], ours.branches.get(tag, empty), seen) for tag in made.tag_values
    )


def answer(schema: Schema) -> Any:
    return json.loads(json.dumps(query_qmp_schema(schema)))


def test_our_own_schema_comes_back_with_its_words(schema: Schema) -> None:
    made = IntrospectedSchema(answer(schema), schema.commands)
    assert made.commands.keys() == schema.commands.keys()
    for name, ours in schema.commands.items():
        command = made.commands[name]
        assert (command.description, set(command.features)) == (ours.description, set(ours.features))
        assert same(command.arguments, ours.arguments, set()), name
        assert same(command.returns, ours.returns, set()), name


def test_a_server_of_which_nothing_is_known_still_has_its_structure(schema: Schema) -> None:
    made = IntrospectedSchema(answer(schema), {})
    arguments = made.commands["blockdev-add"].arguments
    assert isinstance(arguments, Union)
    assert {member.name for member in arguments.branches["qcow2"].members} >= {"file", "backing"}
    assert made.commands["blockdev-add"].description == ""


def test_an_old_server_tells_only_an_enumerations_values() -> None:
    told: list[dict[str, Any]] = [
        {"name": "c", "meta-type": "command", "arg-type": "0", "ret-type": "0"},
        {"name": "0", "meta-type": "object", "members": [{"name": "m", "type": "1", "default": None}]},
        {"name": "1", "meta-type": "enum", "values": ["a", "b"]},
    ]
    (member,) = IntrospectedSchema(told, {}).commands["c"].arguments.members
    assert isinstance(member.type, Enum)
    assert list(member.type.values) == ["a", "b"]
    assert not member.required
