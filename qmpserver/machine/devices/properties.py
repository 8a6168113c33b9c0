"""Know what a property of a device may be, and read it from JSON or from a command line.

Properties are declared in one line of words, ``name:kind`` or ``name:kind=default``:

    serial:str share-rw:bool=off logical_block_size:blocksize=0 rerror:on-error=auto iothread:link<iothread>

A kind is the name that QEMU has for the type of the value, or one of the words in `_NAMED`, where the type's name
says too little: a ``drive`` is a string as well.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from qmpserver.errors import ParameterError, QMPError
from qmpserver.qom.types import Property
from qmpserver.schema.check import Checks
from qmpserver.schema.keyval import convert
from qmpserver.schema.qapi import Array, Enum, IntFormat, Kind, Member, Notes, Scalar, Struct, Type

UNSET = (1 << 32) - 1
"""What stands in many properties of 32 bits for something that was not said."""

FUNCTIONS = 8
"""How many functions a slot of PCI has."""

DEVFNS = 256
"""How many places a PCI bus has: a slot and a function each, together eight times the slot plus the function."""

ANY_DEVFN = -1
"""The place of a PCI device that may be anywhere."""

_ENUMS = {
    "OnOffAuto": "on off auto",
    "BlockdevOnError": "report ignore enospc stop auto",
    "FloppyDriveType": "144 288 120 none auto",
    "BiosAtaTranslation": "auto none lba large rechs",
    "LostTickPolicy": "discard delay slew",
    "PCIELinkSpeed": "2_5 5 8 16 32 64",
    "PCIELinkWidth": "1 2 4 8 12 16 32",
    "SpdmTransportType": "doe nvme mctp scsi unspecified",
}
_NAMED = {
    "auto": ("OnOffAuto", ""),
    "on-error": ("BlockdevOnError", ""),
    "blocksize": ("size", "A power of two from 512 bytes to 2 MiB"),
    "devfn": ("str", "The slot, or slot.function, in hexadecimal"),
    "drive": ("str", "A node or a drive, by name"),
    "chardev": ("str", "A character device, by label"),
    "netdev": ("str", "A network backend, by id"),
    "mac": ("str", "Six bytes in hexadecimal, as 52:54:00:12:34:56"),
    "audiodev": ("str", "An audio backend, by id"),
    "guest-statistics": ("guest statistics", ""),
}
"""Kinds that are no types of QEMU's: the type, and what is to be said of it."""

_STRING = Scalar(Kind.STRING)
_BOOLEAN = Scalar(Kind.BOOLEAN)
_DEVFN = Scalar(Kind.INTEGER, IntFormat.INT32)
_INTEGERS = {
    **{f"{sign}int{bits}": IntFormat(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "int": IntFormat.INT64,
    "size": IntFormat.SIZE,
}
_TRUE, _FALSE = "on", "off"
_checks = Checks()


@dataclass(frozen=True, slots=True)
class DeviceProperty(Property):
    """A property of a device.

    Attributes:
        kind: What its value is, more closely than the type's name says.
    """

    kind: str = ""

    @property
    def is_link(self) -> bool:
        """Whether its value is another object."""
        return self.type_name.startswith("link<")

    def from_json(self, value: Any) -> Any:
        """Take a value as JSON has it.

        Raises:
            ParameterError: It is none of the property's type.
        """
        if self.kind == "devfn":
            _check_devfn(self.name, value)
        else:
            _checks.of(_type(self.type_name))(value, self.name, "")
        return value

    def from_text(self, text: str) -> Any:
        """Read a value as a command line has it.

        Raises:
            ParameterError: It is none of the property's type.
        """
        wanted = Struct("", Notes(), [Member(self.name, _type(self.type_name), required=True)])
        return convert(wanted, {self.name: text})[self.name]


@cache
def parse_properties(words: str) -> tuple[DeviceProperty, ...]:
    """Read a declaration of properties; see the module."""
    return tuple(_parse(word) for word in words.split())


def _parse(word: str) -> DeviceProperty:
    declared, has_default, default = word.partition("=")
    name, _, kind = declared.partition(":")
    type_name, description = _NAMED.get(kind, (kind, ""))
    if type_name == "bool":
        description = f"{_TRUE}/{_FALSE}"
    elif type_name in _ENUMS:
        description = _ENUMS[type_name].replace(" ", "/")
    value = _default(type_name, default) if has_default else None
    return DeviceProperty(name, type_name, description or None, value, kind)


def _default(type_name: str, written: str) -> Any:
    if type_name == "list":
        return []
    if type_name == "bool":
        return written == _TRUE
    # QEMU: where a slot is a string its default is still the number that stands for any.
    return written if type_name in _ENUMS else int(written)


@cache
def _type(type_name: str) -> Type:
    if type_name in _INTEGERS:
        return Scalar(Kind.INTEGER, _INTEGERS[type_name])
    if type_name == "bool":
        return _BOOLEAN
    if type_name in _ENUMS:
        return Enum(type_name, Notes(), dict.fromkeys(_ENUMS[type_name].split(), Notes()))
    if type_name == "str" or type_name.startswith("link<"):
        return _STRING
    return Array(Scalar(Kind.ANY))


def _check_devfn(name: str, value: Any) -> None:
    """See that a place on PCI is a number, or a string that is still to be read."""
    if isinstance(value, str):
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParameterError(f"Invalid parameter type for '{name}', expected int or str", parameter=name)
    _checks.of(_DEVFN)(value, name, "")
    if not ANY_DEVFN <= value < DEVFNS:
        raise ParameterError(
            f"Parameter '{name}' expects a value between {ANY_DEVFN} and {DEVFNS - 1}", parameter=name
        )


def parse_devfn(driver: str, name: str, value: str) -> int:
    """Read ``slot`` or ``slot.function``, in hexadecimal, as eight times the slot plus the function.

    Raises:
        QMPError: It is neither.
    """
    slot, dot, function = value.partition(".")
    try:
        numbers = int(slot, 16), int(function, 16) if dot else 0
    except ValueError:
        numbers = -1, -1
    if not (0 <= numbers[0] < DEVFNS // FUNCTIONS and 0 <= numbers[1] < FUNCTIONS):
        raise QMPError(f"Property '{driver}.{name}' doesn't take value '{value}'")
    return numbers[0] * FUNCTIONS + numbers[1]
