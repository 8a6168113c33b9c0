"""Hold arguments against their type, refusing with QEMU's texts and in QEMU's order.

Members are looked at as the document lists them, a union's own before its branch's, and only then
is something unexpected looked for; what is nested is finished before what comes after it.

QEMU: most texts have the whole path (``file.filename``, ``children[1].size``), but those about enum
values, alternates and narrow integers have the last name alone, or ``null`` for an array's element.
Which of several unexpected members is named is chance in QEMU; here it is the first one sent.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Never, assert_never

from qmpserver.errors import ParameterError
from qmpserver.schema.qapi import Alternate, Array, Enum, IntFormat, Kind, Member, Scalar, Struct, Type, Union

Check = Callable[[Any, str | None, str], None]
"""Raises ParameterError when a value is wrong.

It is given the value, the member's name (None for an array's element and for the outermost value),
and the path before that name, up to and with its dot.
"""

Table = tuple[tuple[str, bool, Check], ...]

_MIN_INT64, _MAX_INT64 = IntFormat.INT64.bounds
_MAX_UINT64 = IntFormat.UINT64.bounds[1]


def refuse_type(path: str, expected: str) -> Never:
    """Refuse a value that is written wrongly."""
    raise ParameterError(f"Invalid parameter type for '{path}', expected: {expected}", parameter=path)


def refuse_missing(path: str) -> Never:
    """Refuse that a member is missing."""
    raise ParameterError(f"Parameter '{path}' is missing", parameter=path)


def refuse_unexpected(value: Mapping[str, Any], prefix: str, known: set[str]) -> Never:
    """Refuse the first member that the type does not have."""
    unexpected = next(name for name in value if name not in known)
    path = prefix + unexpected
    raise ParameterError(f"Parameter '{path}' is unexpected", parameter=path)


def refuse_value(name: str | None, value: str) -> Never:
    """Refuse a string that an enumeration does not have."""
    raise ParameterError(
        f"Parameter '{name or 'null'}' does not accept value '{value}'", parameter=name or ""
    )


def refuse_range(name: str | None, expected: IntFormat) -> Never:
    """Refuse an integer too great or too small for its width."""
    raise ParameterError(f"Parameter '{name or 'null'}' expects {expected.value}_t", parameter=name or "")


class Checks:
    """The checks of one schema's types, each made when first asked for."""

    def __init__(self) -> None:
        self._made: dict[Type, Check] = {}

    def of(self, wanted: Type) -> Check:
        """Return the check of a type."""
        made = self._made.get(wanted)
        if made is None:
            made = self._made[wanted] = self._make(wanted)
        return made

    def of_arguments(self, struct: Struct) -> Callable[[Mapping[str, Any] | None], dict[str, Any]]:
        """Return a check that also names the members as Python does."""
        table: tuple[tuple[str, str, bool, Check], ...] | None = None

        def check(arguments: Mapping[str, Any] | None) -> dict[str, Any]:
            nonlocal table
            if arguments is None:
                arguments = {}
            if table is None:
                table = tuple(
                    (name, python_name(name), required, check_member)
                    for name, required, check_member in self._table(struct.members)
                )
            keywords = {}
            for name, keyword, required, check_member in table:
                if name in arguments:
                    value = keywords[keyword] = arguments[name]
                    check_member(value, name, "")
                elif required:
                    refuse_missing(name)
            if len(keywords) != len(arguments):
                refuse_unexpected(arguments, "", {row[0] for row in table})
            return keywords

        return check

    def _make(self, wanted: Type) -> Check:
        match wanted:
            case Scalar():
                return _scalar_check(wanted)
            case Enum():
                return _enum_check(wanted)
            case Array():
                return self._array_check(wanted)
            case Struct():
                return self._struct_check(wanted)
            case Union():
                return self._union_check(wanted)
            case Alternate():
                return self._alternate_check(wanted)
            case _:
                assert_never(wanted)

    def _table(self, members: Sequence[Member]) -> Table:
        return tuple((member.name, member.required, self.of(member.type)) for member in members)

    def _array_check(self, array: Array) -> Check:
        check_element: Check | None = None

        def check(value: Any, name: str | None, prefix: str) -> None:
            nonlocal check_element
            path = prefix + (name or "")
            if type(value) is not list:
                refuse_type(path, "array")
            if check_element is None:
                check_element = self.of(array.element)
            for index, element in enumerate(value):
                check_element(element, None, f"{path}[{index}]")

        return check

    def _struct_check(self, struct: Struct) -> Check:
        table: Table | None = None

        def check(value: Any, name: str | None, prefix: str) -> None:
            nonlocal table
            inner = _inner_prefix(value, name, prefix)
            if table is None:
                table = self._table(struct.members)
            if _check_members(value, inner, table) != len(value) and not struct.is_open:
                refuse_unexpected(value, inner, {row[0] for row in table})

        return check

    def _union_check(self, union: Union) -> Check:
        tables: dict[int, Table] = {}

        def check(value: Any, name: str | None, prefix: str) -> None:
            inner = _inner_prefix(value, name, prefix)
            seen = 0
            # A tag is checked before the part that it decides is looked for.
            for part in union.parts(value):
                table = tables.get(id(part))
                if table is None:
                    table = tables[id(part)] = self._table(part.members)
                seen += _check_members(value, inner, table)
            if seen != len(value):
                known = {member.name for part in union.parts(value) for member in part.members}
                refuse_unexpected(value, inner, known)

        return check

    def _alternate_check(self, alternate: Alternate) -> Check:
        by_type: dict[type, Check] = {}

        def check(value: Any, name: str | None, prefix: str) -> None:
            if not by_type:
                for branch in alternate.branches:
                    by_type.update(dict.fromkeys(python_types(branch), self.of(branch)))
            check_branch = by_type.get(type(value))
            if check_branch is None:
                refuse_type(name or "null", alternate.name)
            check_branch(value, name, prefix)

        return check


def python_name(name: str) -> str:
    """Return the Python keyword for a member."""
    return name.replace("-", "_")


def python_types(wanted: Type) -> tuple[type, ...]:
    """Return the Python types of a type's values, as JSON is read."""
    match wanted:
        case Scalar(kind=Kind.INTEGER | Kind.NUMBER):
            return int, float
        case Scalar(kind=Kind.BOOLEAN):
            return (bool,)
        case Scalar(kind=Kind.NULL):
            return (type(None),)
        case Struct() | Union():
            return (dict,)
        case Array():
            return (list,)
        case _:
            return (str,)


def _inner_prefix(value: Any, name: str | None, prefix: str) -> str:
    path = prefix + name if name else prefix
    if type(value) is not dict:
        refuse_type(path, "object")
    return f"{path}." if path else ""


def _check_members(value: dict[str, Any], prefix: str, table: Table) -> int:
    """Check the members that a table has, and count those present."""
    seen = 0
    for name, required, check in table:
        if name in value:
            seen += 1
            check(value[name], name, prefix)
        elif required:
            refuse_missing(prefix + name)
    return seen


def _enum_check(enum: Enum) -> Check:
    values = enum.values

    def check(value: Any, name: str | None, prefix: str) -> None:
        if type(value) is not str:
            refuse_type(prefix + (name or ""), "string")
        if value not in values:
            refuse_value(name, value)

    return check


def _scalar_check(scalar: Scalar) -> Check:
    match scalar.kind:
        case Kind.ANY:
            return lambda _value, _name, _prefix: None
        case Kind.INTEGER:
            return _integer_check(scalar.format)
        case Kind.NUMBER:
            return _plain_check("number", int, float)
        case Kind.STRING | Kind.BOOLEAN | Kind.NULL:
            return _plain_check(scalar.kind.value, *python_types(scalar))
        case _:
            assert_never(scalar.kind)


def _plain_check(expected: str, *accepted: type) -> Check:
    def check(value: Any, name: str | None, prefix: str) -> None:
        if type(value) not in accepted:
            refuse_type(prefix + (name or ""), expected)

    return check


def _integer_check(width: IntFormat) -> Check:
    wide = _wide_signed_check if width.is_signed else _wide_unsigned_check
    if width.bits == IntFormat.INT64.bits:
        return wide
    lowest, greatest = width.bounds

    def check(value: Any, name: str | None, prefix: str) -> None:
        wide(value, name, prefix)
        if not lowest <= value <= greatest:
            refuse_range(name, width)

    return check


def _wide_signed_check(value: Any, name: str | None, prefix: str) -> None:
    if type(value) is not int or not _MIN_INT64 <= value <= _MAX_INT64:
        refuse_type(prefix + (name or ""), "integer")


def _wide_unsigned_check(value: Any, name: str | None, prefix: str) -> None:
    # QEMU: a negative number is taken for the unsigned one with the same bits.
    if type(value) is not int or not _MIN_INT64 <= value <= _MAX_UINT64:
        raise ParameterError(f"Parameter '{prefix}{name or ''}' expects uint64")
