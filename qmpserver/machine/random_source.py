"""Sources of random numbers as objects: named and shown; no guest asks them for any."""

import os
from dataclasses import dataclass
from typing import Any

from qmpserver.errors import QMPError, error_text
from qmpserver.qom.user_object import UserObject

RANDOM_TYPES = ("rng-builtin", "rng-random")
"""The types of such objects."""

_FILENAME = "/dev/urandom"


@dataclass(frozen=True, slots=True)
class RandomSource(UserObject):
    """Where random numbers would come from.

    Raises:
        QMPError: Its file cannot be read.
    """

    def __post_init__(self) -> None:
        filename = self.properties.get("filename", _FILENAME)
        try:
            os.close(os.open(filename, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            raise QMPError(f"Could not open '{filename}': {error_text(error)}") from error

    def get_property(self, name: str) -> Any:
        """Return the value of a property."""
        values = {"type": self.qom_type, "opened": True, "filename": _FILENAME, **self.properties}
        return values[name]
