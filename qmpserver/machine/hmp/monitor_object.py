"""Monitors for people as objects."""

from dataclasses import dataclass
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.qom.user_object import UserObject

READLINE = "readline"


@dataclass(frozen=True, slots=True)
class HumanMonitorObject(UserObject):
    """A monitor for people on a chardev; it stays for good."""

    def get_property(self, name: str) -> Any:
        """Return the value of a property."""
        if name == READLINE:
            return True
        return self.qom_type if name == "type" else self.properties[name]

    def check_unused(self) -> None:
        """Refuse to be deleted.

        Raises:
            QMPError: Always.
        """
        raise QMPError("Deleting HMP monitors is not supported")


def check_properties(properties: dict[str, Any]) -> None:
    """Refuse a monitor on which lines are not edited: QEMU's takes one command per packet then.

    Raises:
        QMPError: It is to be one.
    """
    if properties.get(READLINE) is False:
        raise QMPError("monitor-hmp without 'readline' is not supported")
