"""Throttle groups as objects: limits that nodes share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qmpserver.clock import Clock
from qmpserver.errors import QMPError
from qmpserver.qom.user_object import UserObject
from qmpserver.throttling.group import ThrottleGroup
from qmpserver.throttling.limits import MAX_BURST_LENGTH, ThrottleLimits


@dataclass(frozen=True, slots=True)
class ThrottleGroupObject(UserObject):
    """A throttle group that a user made.

    Attributes:
        group: The group itself.
    """

    group: ThrottleGroup

    def get_property(self, name: str) -> Any:
        """Return the value of a property."""
        if name == "type":
            return self.qom_type
        limits = self.group.limits.to_wire()
        return limits if name == "limits" else limits[name.removeprefix("x-")]

    def set_property(self, name: str, value: Any) -> None:
        """Change the limits; what is not said stays as it is.

        Raises:
            QMPError: They would contradict each other.
        """
        if name == "type":
            raise QMPError(f"Property '{self.qom_type}.{name}' is not writable")
        if name != "limits":
            raise QMPError("Property cannot be set after initialization")
        self.group.limits = _changed(self.group.limits, value)

    def check_unused(self) -> None:
        """Refuse to be deleted while nodes use the group.

        Raises:
            QMPError: They do.
        """
        if self.group.members:
            raise QMPError(f"Cannot delete throttle group '{self.object_id}' with active references")


def make_throttle_group(
    clock: Clock, object_id: str, qom_type: str, properties: dict[str, Any]
) -> ThrottleGroupObject:
    """Make a throttle group of what ``object-add`` says.

    Raises:
        QMPError: The limits make no sense.
    """
    single: dict[str, Any] = {}
    for name, value in properties.items():
        if name.startswith("x-"):
            _check_single(name, value)
            single[name.removeprefix("x-")] = value
    limits = ThrottleLimits().changed(single)
    limits = _changed(limits, properties.get("limits", {}))
    return ThrottleGroupObject(object_id, qom_type, properties, ThrottleGroup(limits, clock))


def _check_single(name: str, value: int) -> None:
    if value < 0:
        raise QMPError("Property values cannot be negative")
    if name.endswith("-length") and value > MAX_BURST_LENGTH:
        # QEMU: spells it so.
        raise QMPError(f"{name} value must be in therange [0, {MAX_BURST_LENGTH}]")


def _changed(limits: ThrottleLimits, members: Mapping[str, Any]) -> ThrottleLimits:
    for name, value in members.items():
        if name.endswith("-length") and value > MAX_BURST_LENGTH:
            raise QMPError(f"{name} value must be in the range [0, {MAX_BURST_LENGTH}]")
    changed = limits.changed(members)
    changed.check()
    return changed
