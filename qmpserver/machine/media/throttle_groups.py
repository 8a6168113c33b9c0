"""Keep the limits that drives share, by the names of their groups.

A group that a client made as an object is shared with `throttle` nodes and stays; one that is only named here is
there for as long as a drive uses it.
"""

from typing import Any

from qmpserver.clock import Clock
from qmpserver.errors import QMPError
from qmpserver.objects import ObjectStore
from qmpserver.qom.throttle_group import ThrottleGroupObject, make_throttle_group
from qmpserver.throttling.group import ThrottleGroup, ThrottleMember
from qmpserver.throttling.limits import ThrottleLimits


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
