"""Convert strings, as the command line gives them, to the values of a type, with QEMU's texts.

The input is a tree of dicts and lists with strings for leaves.  A ``json:`` file name mixes strings
with JSON's own types, which are then held against the type like arguments.
"""

import re
from collections.abc import Callable
from typing import Any

from qmpserver.errors import ParameterError
from qmpserver.numerals import parse_size
from qmpserver.schema.check import (
    Checks,
    python_types,
    refuse_missing,
    refuse_range,
    refuse_type,
    refuse_unexpected,
    refuse_value,
)
from qmpserver.schema.qapi import Alternate, Array, Enum, IntFormat, Kind, Member, Scalar, Struct, Type, Union

_BOOLEANS = {
    **dict.fromkeys(("on", "yes", "true", "y"), True),
    **dict.fromkeys(("off", "no", "false", "n"), False),
}
# `re` compiles these when they are first used, which in many a short run is never.
_INTEGER = r"\s*([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)\Z"
_NUMBER = r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z"

_COUNTING_BYTES = frozenset(
    [
        "align",
        "max-transfer",
        "opt-write-zero",
        "max-write-zero",
        "opt-discard",
        "max-discard",
        "cache-size",
        "l2-cache-size",
        "l2-cache-entry-size",
        "refcount-cache-size",
        "log-sector-size",
        "offset",
        "prealloc-align",
        "prealloc-size",
        "size",
    ]
)
"""Options of drivers that may have a suffix, such as ``64k``, where they are given as strings.  QEMU's schema calls them
integers."""


def convert(wanted: Type, value: Any) -> Any:
    """Convert a tree of strings.

    Raises:
        ParameterError: It is no value of that type.
    """
    return _Converter(accepts_json=False).convert(wanted, value, None, "")


def convert_mixed(wanted: Type, value: Any) -> Any:
    """Convert a tree in which JSON's own types may stand for strings.

    An object without its union's tag is returned as it is.

    Raises:
        ParameterError: It is no value of that type.
    """
    return _Converter(accepts_json=True).convert(wanted, value, None, "")


class _Converter:
    def __init__(self, *, accepts_json: bool) -> None:
        self._accepts_json = accepts_json
        self._checks = Checks()

    def convert(self, wanted: Type, value: Any, name: str | None, path: str) -> Any:
        """Convert one value; `path` is its whole path, `name` the last part unless that is an index."""
        match wanted:
            case Scalar() | Enum():
                return self._leaf(wanted, value, name, path)
            case Array():
                if not isinstance(value, list):
                    refuse_type(path, "array")
                return [
                    self.convert(wanted.element, element, None, f"{path}.{index}" if path else str(index))
                    for index, element in enumerate(value)
                ]
            case Struct() | Union():
                return self._object(wanted, value, path)
        return self.convert(_chosen(wanted, value, name), value, name, path)

    def _leaf(self, wanted: Scalar | Enum, value: Any, name: str | None, path: str) -> Any:
        if isinstance(wanted, Scalar) and wanted.kind is Kind.ANY:
            return value
        if isinstance(value, str):
            read_integer = _number_of_option if self._accepts_json else _integer
            return _leaf_from_string(wanted, value, name, path, read_integer)
        if self._accepts_json:
            prefix = path.removesuffix(name) if name else path
            self._checks.of(wanted)(value, name, prefix)
            return value
        raise ParameterError(f"Parameters '{path}.*' are unexpected")

    def _object(self, wanted: Struct | Union, value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            refuse_type(path, "object")
        if self._accepts_json and isinstance(wanted, Union) and wanted.tag not in value:
            return value
        prefix = f"{path}." if path else ""
        converted: dict[str, Any] = {}
        known: list[Member] = []
        for part in wanted.parts(converted) if isinstance(wanted, Union) else (wanted,):
            converted |= self._members(part.members, value, prefix)
            known += part.members
        if len(converted) != len(value):
            refuse_unexpected(value, prefix, {member.name for member in known})
        return converted

    def _members(self, members: list[Member], value: dict[str, Any], prefix: str) -> dict[str, Any]:
        converted = {}
        for member in members:
            if member.name in value:
                converted[member.name] = self.convert(
                    member.type, value[member.name], member.name, prefix + member.name
                )
            elif member.required:
                refuse_missing(prefix + member.name)
        return converted


def _chosen(alternate: Alternate, value: Any, name: str | None) -> Type:
    for branch in alternate.branches:
        if type(value) in python_types(branch):
            return branch
    return refuse_type(name or "null", alternate.name)


_ReadInteger = Callable[[IntFormat, str, str | None, str], int]


def _leaf_from_string(
    wanted: Scalar | Enum, text: str, name: str | None, path: str, read_integer: _ReadInteger
) -> Any:
    if isinstance(wanted, Enum):
        if text not in wanted.values:
            refuse_value(name, text)
        return text
    if wanted.kind in (Kind.STRING, Kind.ANY):
        return text
    if wanted.kind is Kind.NULL:
        refuse_type(path, "null")
    if wanted.kind is Kind.INTEGER and wanted.format is not IntFormat.SIZE:
        return read_integer(wanted.format, text, name, path)
    return _parsed(*_PARSERS[wanted.kind], text, path)


def _parsed(parse: Callable[[str], Any], expected: str, text: str, path: str) -> Any:
    value = parse(text)
    if value is None:
        raise ParameterError(f"Parameter '{path}' expects {expected}")
    return value


def _integer(width: IntFormat, text: str, name: str | None, path: str, expected: str = "integer") -> int:
    wide = IntFormat.INT64 if width.is_signed else IntFormat.UINT64
    value: int = _parsed(lambda digits: parse_integer(digits, wide), expected, text, path)
    lowest, greatest = width.bounds
    if not lowest <= value <= greatest:
        refuse_range(name, width)
    return value


def _number_of_option(width: IntFormat, text: str, name: str | None, path: str) -> int:
    """Return what a text says of an option that a driver of QEMU's reads by itself, in its own way."""
    shown = name or path
    if name not in _COUNTING_BYTES:
        return _integer(width, text, name, shown, "a number")
    value: int = _parsed(parse_size, "a non-negative number below 2^64", text, shown)
    if not 0 <= value <= width.bounds[1]:
        raise ParameterError(f"Value '{text}' is out of range for parameter '{shown}'")
    return value


def parse_integer(text: str, width: IntFormat) -> int | None:
    """Read an integer as C does: decimal, ``0x`` hexadecimal or ``0`` octal; None when it is none.

    QEMU: a negative number is taken for the unsigned one with the same bits.
    """
    match = re.match(_INTEGER, text)
    if match is None:
        return None
    sign, digits = match.groups()
    is_octal = digits.startswith("0") and digits.isdigit()
    try:
        value = int(digits, 8) if is_octal else int(digits, 0)
    except ValueError:
        return None
    if sign == "-":
        value = -value
    lowest, greatest = width.bounds
    if value < 0 and not width.is_signed and -value <= greatest:
        value += greatest + 1
    return value if lowest <= value <= greatest else None


def _size(text: str) -> int | None:
    value = parse_size(text)
    return value if value is not None and 0 <= value <= IntFormat.UINT64.bounds[1] else None


def _parse_number(text: str) -> float | None:
    return float(text) if re.match(_NUMBER, text) else None


_PARSERS: dict[Kind, tuple[Callable[[str], Any], str]] = {
    Kind.BOOLEAN: (_BOOLEANS.get, "'on' or 'off'"),
    Kind.NUMBER: (_parse_number, "number"),
    Kind.INTEGER: (_size, "size"),
}
"""How a leaf is read, and what QEMU calls it; an integer comes here only as a size."""
