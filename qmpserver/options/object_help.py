"""Answer ``--object help``: which objects there are, and what each is told."""

from collections.abc import Iterator

from qmpserver.options.keyval import Keyval
from qmpserver.schema.model import Schema
from qmpserver.schema.qapi import Array, Enum, Kind, Scalar, Type, Union

_WORDS = {Kind.STRING: "string", Kind.INTEGER: "int", Kind.NUMBER: "number", Kind.BOOLEAN: "bool"}


def object_help(schema: Schema, asked: Keyval) -> str:
    """Return the properties of the object type asked about, or else the list of types.

    QEMU: its text, without the objects that are not here.
    """
    options = schema.type("ObjectOptions").type
    assert isinstance(options, Union)
    qom_type = asked.tree.get("qom-type")
    if isinstance(qom_type, str) and qom_type in options.tag_values:
        return "\n".join([f"{qom_type} options:", *_properties(options, qom_type)])
    return "\n".join(
        ["List of user creatable objects:", *(f"  {name}" for name in sorted(options.tag_values))]
    )


def _properties(options: Union, qom_type: str) -> Iterator[str]:
    branch = options.branches.get(qom_type)
    for member in sorted(branch.members if branch else [], key=lambda member: member.name):
        yield f"  {member.name}=<{_type_word(member.type)}>"


def _type_word(described: Type) -> str:
    match described:
        case Scalar():
            return _WORDS.get(described.kind, described.kind.value)
        case Enum():
            return described.name
        case Array():
            return f"{_type_word(described.element)} list"
        case _:
            return "struct"
