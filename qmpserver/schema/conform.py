"""Hold what the server itself says against its type, strictly."""

from typing import Any, assert_never

from qmpserver.schema.qapi import Alternate, Array, Enum, IntFormat, Kind, Member, Scalar, Struct, Type, Union


class SchemaError(AssertionError):
    """Report a reply or event that the schema does not allow, with the path to what is wrong."""


def conform(wanted: Type, value: Any, path: str) -> None:
    """Hold a value against a type.

    Raises:
        SchemaError: It is no value of that type.
    """
    match wanted:
        case Scalar():
            if not _is_scalar(wanted, value):
                raise SchemaError(f"{path}: {value!r} is no {wanted.kind.value} ({wanted.format.value})")
        case Enum():
            if not isinstance(value, str) or value not in wanted.values:
                raise SchemaError(f"{path}: {value!r} is no {wanted.name}")
        case Array():
            if not isinstance(value, list):
                raise SchemaError(f"{path}: {value!r} is no array")
            for index, element in enumerate(value):
                conform(wanted.element, element, f"{path}[{index}]")
        case Struct() | Union():
            _conform_object(wanted, value, path)
        case Alternate():
            _conform_alternate(wanted, value, path)
        case _:
            assert_never(wanted)


def _conform_object(wanted: Struct | Union, value: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise SchemaError(f"{path}: {value!r} is no object")
    members = list(wanted.members)
    if isinstance(wanted, Union):
        members += _branch_members(wanted, value, path)
    for member in members:
        if member.name in value:
            conform(member.type, value[member.name], f"{path}.{member.name}")
        elif member.required:
            raise SchemaError(f"{path}.{member.name} is missing")
    unexpected = value.keys() - {member.name for member in members}
    if unexpected:
        raise SchemaError(f"{path}: {sorted(unexpected)} are unexpected")


def _branch_members(union: Union, value: dict[str, Any], path: str) -> list[Member]:
    """Return the members that the branch adds."""
    tag_value = value.get(union.tag)
    if not isinstance(tag_value, str) or tag_value not in union.tag_values:
        raise SchemaError(f"{path}.{union.tag}: {tag_value!r} is no branch of {union.name}")
    _, *further = union.parts(value)
    return [member for part in further for member in part.members]


def _conform_alternate(alternate: Alternate, value: Any, path: str) -> None:
    wrongs = []
    for branch in alternate.branches:
        try:
            return conform(branch, value, path)
        except SchemaError as error:
            wrongs.append(str(error))
    raise SchemaError(f"{path}: {value!r} is no {alternate.name}: {'; '.join(wrongs)}")


def _is_scalar(scalar: Scalar, value: Any) -> bool:
    match scalar.kind:
        case Kind.ANY:
            return True
        case Kind.NULL:
            return value is None
        case Kind.BOOLEAN:
            return isinstance(value, bool)
        case Kind.STRING:
            return isinstance(value, str)
        case Kind.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case Kind.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool) and _fits(scalar.format, value)
        case _:
            assert_never(scalar.kind)


def _fits(width: IntFormat, value: int) -> bool:
    lowest, greatest = width.bounds
    return lowest <= value <= greatest
