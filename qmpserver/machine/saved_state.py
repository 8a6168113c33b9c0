"""Shape what of a machine is kept, or sent to another process, and read it again; no I/O.

There is no guest, so little is kept: what the machine is, its open trays, and the dirty bitmaps that go along.
What is read may come from anybody.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from qmpserver.errors import QMPError
from qmpserver.machine.run_states import RunState

T = TypeVar("T")

Mapped = Sequence[Mapping[str, Any]]
"""``BitmapMigrationNodeAlias``, checked: which dirty bitmaps go along, and by which names."""


@dataclass(frozen=True, slots=True)
class SavedBitmap:
    """A dirty bitmap.

    Attributes:
        node: What its node is called underway.
        name: What it is called underway.
        granularity: Bytes that share one bit.
        is_enabled: It records writes.
        is_persistent: It is stored in the image.
        marks: Its bits, compressed.
    """

    node: str
    name: str
    granularity: int
    is_enabled: bool
    is_persistent: bool
    marks: bytes

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "node": self.node,
            "name": self.name,
            "granularity": self.granularity,
            "enabled": self.is_enabled,
            "persistent": self.is_persistent,
            "marks": base64.b64encode(self.marks).decode(),
        }


@dataclass(frozen=True, slots=True)
class SavedState:
    """A machine.

    Attributes:
        machine_type: What it is built on.
        memory: Bytes of its memory.
        uuid: Its identity.
        run_state: Whether it ran before it was stopped to be saved.
        devices: How many devices there are, by type.
        trays: Which trays are open, by device.
        bitmaps: The dirty bitmaps that go along.
    """

    machine_type: str
    memory: int
    uuid: str
    run_state: RunState
    devices: Mapping[str, int]
    trays: Mapping[str, bool]
    bitmaps: Sequence[SavedBitmap] = field(default=())

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "machine": self.machine_type,
            "memory": self.memory,
            "uuid": self.uuid,
            "run-state": self.run_state.value,
            "devices": dict(self.devices),
            "trays": dict(self.trays),
            "bitmaps": [bitmap.to_document() for bitmap in self.bitmaps],
        }


def from_document(document: Mapping[str, Any]) -> SavedState:
    """Return the state that JSON holds.

    Raises:
        QMPError: It holds none, or that of no machine.
    """
    if document.get("machine", 0) is None:
        raise QMPError("The state is that of a server without a machine")
    return SavedState(
        machine_type=_member(document, "machine", str),
        memory=_member(document, "memory", int),
        uuid=_member(document, "uuid", str),
        run_state=_run_state(_member(document, "run-state", str)),
        devices=_mapping(document, "devices", int),
        trays=_mapping(document, "trays", bool),
        bitmaps=tuple(_bitmap(entry) for entry in _member(document, "bitmaps", list)),
    )


def _bitmap(entry: object) -> SavedBitmap:
    if not isinstance(entry, dict):
        raise _malformed("bitmaps")
    try:
        marks = base64.b64decode(_member(entry, "marks", str), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed("marks") from error
    return SavedBitmap(
        node=_member(entry, "node", str),
        name=_member(entry, "name", str),
        granularity=_member(entry, "granularity", int),
        is_enabled=_member(entry, "enabled", bool),
        is_persistent=_member(entry, "persistent", bool),
        marks=marks,
    )


def _run_state(name: str) -> RunState:
    try:
        return RunState(name)
    except ValueError as error:
        raise _malformed("run-state") from error


def _member(document: Mapping[str, Any], name: str, kind: type[T]) -> T:
    value = document.get(name)
    # In Python a bool is an int as well.
    if type(value) is not kind:
        raise _malformed(name)
    return value


def _mapping(document: Mapping[str, Any], name: str, kind: type[T]) -> dict[str, T]:
    values: dict[str, T] = _member(document, name, dict)
    if not all(type(value) is kind for value in values.values()):
        raise _malformed(name)
    return values


def _malformed(name: str) -> QMPError:
    return QMPError(f"Error while loading vmstate: '{name}' is missing or malformed")
