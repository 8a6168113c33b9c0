"""Name the limits of drives as ``block_set_io_throttle``, ``query-block`` and ``-drive`` do."""

from collections.abc import Mapping
from typing import Any

from qmpserver.throttling.limits import ThrottleLimits

_DIRECTIONS = {"": "total", "_rd": "read", "_wr": "write"}
_PARTS = {"": "", "_max": "-max", "_max_length": "-max-length"}
LIMITS = {
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
        {LIMITS[name]: value for name, value in given.items() if value is not None}
    )
    limits.check()
    return limits


def limits_info(limits: ThrottleLimits) -> dict[str, int]:
    """Shape limits as members of ``BlockDeviceInfo``; bursts and sizes are left out where there are none."""
    wire = limits.to_wire()
    info: dict[str, int] = {}
    for name, member in LIMITS.items():
        needed = f"{name.partition('_max')[0]}_max" if "_max" in name else name
        is_rate = name != "iops_size" and "_max" not in name
        if is_rate or wire[LIMITS[needed]]:
            info[name] = wire[member]
    return info
