"""Memory as objects: named and shown, but of nothing, since no guest uses it."""

import errno
import os
from dataclasses import dataclass, field
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.qom.user_object import UserObject

MEMORY_TYPES = ("memory-backend-file", "memory-backend-memfd", "memory-backend-ram", "memory-backend-shm")
"""The types of such objects."""

_DEFAULTS: dict[str, Any] = {
    "dump": True,
    "host-nodes": [],
    "merge": True,
    "policy": "default",
    "prealloc": False,
    "prealloc-threads": 1,
    "prealloc-context": "",
    "reserve": True,
    "share": False,
    "x-use-canonical-path-for-ramblock-id": False,
}

_SHARED = ("memory-backend-memfd", "memory-backend-shm")
"""Types whose memory others may see unless told otherwise."""

_OWN_DEFAULTS: dict[str, dict[str, Any]] = {
    "memory-backend-file": {
        "align": 0,
        "discard-data": False,
        "offset": 0,
        "pmem": False,
        "readonly": False,
        "rom": "auto",
    },
    "memory-backend-memfd": {"hugetlb": False, "hugetlbsize": 0, "seal": True},
}

_CHANGEABLE = ("dump", "merge")


@dataclass(frozen=True, slots=True)
class MemoryBackend(UserObject):
    """What memory is of.

    Raises:
        QMPError: A property makes no sense.
    """

    values: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shared = {"share": self.qom_type in _SHARED}
        self.values.update(_DEFAULTS | shared | _OWN_DEFAULTS.get(self.qom_type, {}) | dict(self.properties))
        if not self.values["size"]:
            raise QMPError(f"property 'size' of {self.qom_type} doesn't take value '0'")
        self._check_nodes()
        if self.qom_type == "memory-backend-shm" and not self.values["share"]:
            raise QMPError("can't create shm backend with `share=off`")
        if "mem-path" in self.values:
            _check_path(self.values["mem-path"])

    def _check_nodes(self) -> None:
        nodes, policy = self.values["host-nodes"], self.values["policy"]
        if nodes and policy == "default":
            raise QMPError(
                "host-nodes must be empty for policy default, or you should explicitly specify a policy other "
                "than default"
            )
        if not nodes and policy != "default":
            raise QMPError(f"host-nodes must be set for policy {policy}")

    def get_property(self, name: str) -> Any:
        """Return the value of a property."""
        return self.qom_type if name == "type" else self.values[name]

    def set_property(self, name: str, value: Any) -> None:
        """Change a property.

        Raises:
            QMPError: It cannot be changed.
        """
        if name not in _CHANGEABLE:
            # QEMU: the blank at the end is its own.
            raise QMPError(f"cannot change property {name} of {self.qom_type} ")
        self.values[name] = value

    def to_wire(self) -> dict[str, Any]:
        """Shape it as ``Memdev``."""
        shown = ("size", "merge", "dump", "prealloc", "share", "reserve", "host-nodes", "policy")
        return {"id": self.object_id, **{name: self.values[name] for name in shown}}


def _check_path(path: str) -> None:
    """See that a file could be made or used; it is left alone."""
    folder = path if os.path.isdir(path) else os.path.dirname(path) or "."
    code = 0 if os.path.isdir(folder) else errno.ENOENT
    if not code and not os.access(path if os.path.exists(path) else folder, os.R_OK | os.W_OK):
        code = errno.EACCES
    if code:
        raise QMPError(f"can't open backing store {path} for guest RAM: {os.strerror(code)}")
