"""QMP monitors as objects."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qmpserver.qom.user_object import UserObject


@dataclass(frozen=True, slots=True)
class MonitorObject(UserObject):
    """A monitor on a chardev.

    Attributes:
        close: Parts with its clients and frees the chardev.
    """

    close: Callable[[], object]

    def get_property(self, name: str) -> Any:
        """Return the value of a property."""
        defaults = {"pretty": False, "close-action": "none"}
        if name in defaults:
            return self.properties.get(name, defaults[name])
        return super(MonitorObject, self).get_property(name)

    def deleted(self) -> None:
        """Part with its clients."""
        self.close()
