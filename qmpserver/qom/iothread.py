"""I/O threads: accepted, shown, and of no effect.

QEMU: an `iothread` runs the requests of nodes moved to it; here one event loop runs them all, so it is
accepted for the sake of those that create it.
"""

from dataclasses import dataclass, field
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.qom.user_object import UserObject

_DEFAULTS = {
    "aio-max-batch": 0,
    "thread-pool-min": 0,
    "thread-pool-max": 64,
    "poll-max-ns": 32768,
    "poll-grow": 2,
    "poll-shrink": 2,
    "poll-weight": 3,
}

_MOST = dict.fromkeys(_DEFAULTS, (1 << 63) - 1) | {"poll-weight": 63}


@dataclass(frozen=True, slots=True)
class IOThread(UserObject):
    """An I/O thread.

    Raises:
        QMPError: A property is out of range.
    """

    values: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values.update(_DEFAULTS)
        for name, value in self.properties.items():
            _check_range(name, value)
            self._store(name, value)
        _check_pool(self.values)

    def _store(self, name: str, value: int) -> None:
        # A zero leaves the choice to the server.
        chosen = _DEFAULTS[name] if name.startswith("poll-") and name != "poll-max-ns" else 0
        self.values[name] = value or chosen

    def get_property(self, name: str) -> Any:
        """Return the value of a property."""
        return self.qom_type if name == "type" else self.values[name]

    def set_property(self, name: str, value: Any) -> None:
        """Change a property.

        Raises:
            QMPError: It is out of range.
        """
        if name not in self.values:
            raise QMPError(f"Property '{self.qom_type}.{name}' is not writable")
        _check_range(name, value)
        _check_pool(self.values | {name: value})
        self._store(name, value)


def _check_range(name: str, value: int) -> None:
    if not 0 <= value <= _MOST[name]:
        raise QMPError(f"{name} value must be in range [0, {_MOST[name]}]")


def _check_pool(values: dict[str, int]) -> None:
    if not values["thread-pool-max"] or values["thread-pool-min"] > values["thread-pool-max"]:
        raise QMPError("bad thread-pool-min/thread-pool-max values")
