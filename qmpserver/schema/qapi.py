"""Describe the kinds of type that QMP has, in QAPI's words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum as Choices
from typing import Any, Final, NamedTuple


class Kind(Choices):
    """What a scalar is, by JSON Schema's name; ``ANY`` is whatever JSON can write."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    NULL = "null"
    ANY = "any"


class IntFormat(Choices):
    """How wide an integer is.  ``SIZE`` is ``UINT64``, but the command line takes suffixes."""

    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    SIZE = "size"

    @property
    def bits(self) -> int:
        """How many bits its values take."""
        return 64 if self is IntFormat.SIZE else int(self.value.lstrip("uint"))

    @property
    def is_signed(self) -> bool:
        """Whether it has negative values."""
        return self.value.startswith("int")

    @property
    def bounds(self) -> tuple[int, int]:
        """Return the smallest and the greatest value."""
        if self.is_signed:
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1


class Notes(NamedTuple):
    """What a document says about a thing, besides its structure.

    Attributes:
        description: What it is, in a sentence or two.
        since: The QEMU version that first had it, or an empty string.
        features: `deprecated`, `unstable`, or marks that tell clients what they may rely on.
    """

    description: str = ""
    since: str = ""
    features: tuple[str, ...] = ()


NO_NOTES: Final = Notes()


@dataclass(slots=True, eq=False, repr=False)
class Scalar:
    """A type without structure.

    Attributes:
        kind: What it is.
        format: How wide an integer is; `INT64` and meaningless for others.
    """

    kind: Kind
    format: IntFormat = IntFormat.INT64


@dataclass(slots=True, eq=False, repr=False)
class Enum:
    """A closed set of strings.

    Attributes:
        name: QAPI's name.
        values: Each value, with what is said of it, in the document's order.
    """

    name: str
    notes: Notes
    values: dict[str, Notes]


@dataclass(slots=True, eq=False, repr=False)
class Array:
    """A list of values of one type."""

    element: "Type"


@dataclass(slots=True, eq=False, repr=False)
class Member:
    """A member of a struct or union.

    Attributes:
        required: It may not be left out.
        names: What its value names (`node`, `job`, `object`, `file`, `new-node`, ...), or an empty string.
    """

    name: str
    type: "Type"
    required: bool
    notes: Notes = NO_NOTES
    names: str = ""


@dataclass(slots=True, eq=False, repr=False)
class Struct:
    """A set of members.

    Attributes:
        name: QAPI's name; empty for one written in place.
        members: In the document's order, in which QEMU checks them.
        is_open: It may have members that are not listed, of which nothing is known here.
    """

    name: str
    notes: Notes
    members: list[Member] = field(default_factory=list)
    is_open: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Union:
    """A struct with further members, which the value of one of its own decides.

    Attributes:
        tag: The member that decides.
        branches: The further members by the tag's value, where a union has some more by its own; a value
            without an entry adds none.
    """

    name: str
    notes: Notes
    tag: str
    members: list[Member] = field(default_factory=list)
    branches: dict[str, "Struct | Union"] = field(default_factory=dict)

    def parts(self, given: Mapping[str, Any]) -> "Iterator[Struct | Union]":
        """Go through what supplies members of a value, from the outermost: the union, its branch, a branch of that."""
        part: Struct | Union | None = self
        while part is not None:
            yield part
            part = part.branches.get(str(given.get(part.tag))) if isinstance(part, Union) else None

    @property
    def tag_values(self) -> Mapping[str, Notes]:
        """Return the values that the tag may have."""
        tag_type = next(member.type for member in self.members if member.name == self.tag)
        if not isinstance(tag_type, Enum):
            raise TypeError(f"the tag of {self.name} is no enumeration")
        return tag_type.values


@dataclass(slots=True, eq=False, repr=False)
class Alternate:
    """One of several types, told apart by how JSON writes them.

    Attributes:
        branches: The types; no two are written alike.
    """

    name: str
    notes: Notes
    branches: list["Type"] = field(default_factory=list)


Type = Scalar | Enum | Array | Struct | Union | Alternate
