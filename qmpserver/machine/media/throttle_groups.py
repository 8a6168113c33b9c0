"""Keep the limits that drives share, by the names of their groups.

A group that a client made as an object is shared with `throttle` nodes and stays; one that is only named here is
there for as long as a drive uses it.
"""

from collections.abc import Mapping
from typing import Any

from qmpserver.clock import Clock
from qmpserver.errors import QMPError
from qmpserver.objects import ObjectStore
from qmpserver.qom.throttle_group import ThrottleGroupObject, make_throttle_group
from qmpserver.throttling.group import ThrottleGroup, ThrottleMember
from qmpserver.throttling.limits import ThrottleLimits

_DIRECTIONS = {"": "total", "_rd": "read", "_wr": "write"}
_PARTS = {"": "", "_max": "-max", "_max_length": "-max-length"}
_MEMBERS = {
    f"{kind}{direction}{part}": f"{kind}-{wire_direction}{wire_part}"
    for kind in ("bps", "iops")
    for direction, wire_direction in _DIRECTIONS.items()
    for part, wire_part in _PARTS.items()
} | {"iops_size": "iops-size"}
"""What ``block_set_io_throttle`` and ``query-block`` call the members of ``ThrottleLimits``."""


def limits_of(given: Mapping[str, Any]) -> ThrottleLimits:
    """Return the limits that members named as ``block_set_io_throttle`` names them ask for.

    Raises:
        QMPError: They contradict each other.
    """
    limits = ThrottleLimits().changed(
        {_MEMBERS[name]: value for name, value in given.items() if value is not None}
    )
    limits.check()
    return limits


def limits_info(limits: ThrottleLimits) -> dict[str, int]:
    """Shape limits as members of ``BlockDeviceInfo``; bursts and sizes are left out where there are none."""
    wire = limits.to_wire()
    info: dict[str, int] = {}
    for name, member in _MEMBERS.items():
        needed = f"{name.partition('_max')[0]}_max" if "_max" in name else name
        is_rate = name != "iops_size" and "_max" not in name
        if is_rate or wire[_MEMBERS[needed]]:
            info[name] = wire[member]
    return info


class ThrottleGroups:
    """The groups that drives use.

    Args:
        objects: Those that clients made.
        clock: What the others tell the time by.
    """

    def __init__(self, objects: ObjectStore, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self._groups: dict[str, ThrottleGroup] = {}
        objects.add_maker("throttle-group", self._make_object)

    def join(self, name: str) -> ThrottleMember:
        """Become a member of the group of that name, which is made if there is none."""
        made = self._objects.get(name)
        if isinstance(made, ThrottleGroupObject):
            return made.group.join()
        if name not in self._groups:
            self._groups[name] = ThrottleGroup(ThrottleLimits(), self._clock)
        return self._groups[name].join()

    def leave(self, name: str, member: ThrottleMember) -> None:
        """End a membership; what waits goes at once.  A group that nobody uses any more is forgotten."""
        member.drain_begin()
        member.leave()
        group = self._groups.get(name)
        if group is member.group and not group.members:
            del self._groups[name]

    def _make_object(self, object_id: str, qom_type: str, properties: dict[str, Any]) -> ThrottleGroupObject:
        """Make an object, unless it would be called as a group is that only drives use."""
        if object_id in self._groups:
            raise QMPError("A group with this name already exists")
        return make_throttle_group(self._clock, object_id, qom_type, properties)
