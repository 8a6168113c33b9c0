"""Say how fast requests may be, and refuse what makes no sense."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from qmpserver.errors import QMPError

MAX_RATE = 1_000_000_000_000_000
"""The highest rate, and the most that may be in a bucket; QEMU's ``THROTTLE_VALUE_MAX``."""

MAX_BURST_LENGTH = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Rate:
    """What one bucket lets through.

    Attributes:
        avg: Units a second in the long run; 0 for no limit.
        max: Units a second in a burst; 0 when there are none beyond a tenth of a second's worth.
        max_length: Seconds that a burst may last.
    """

    avg: int = 0
    max: int = 0
    max_length: int = 1

    def check(self) -> None:
        """Refuse a rate that makes no sense.

        Raises:
            QMPError: With QEMU's text.
        """
        if not 0 <= self.avg <= MAX_RATE or not 0 <= self.max <= MAX_RATE:
            raise QMPError(f"bps/iops/max values must be within [0, {MAX_RATE}]")
        if not self.max_length:
            raise QMPError("the burst length cannot be 0")
        if self.max_length > 1 and not self.max:
            raise QMPError("burst length set without burst rate")
        if self.max and self.max_length > MAX_RATE // self.max:
            raise QMPError("burst length too high for this burst rate")
        if self.max and not self.avg:
            raise QMPError("bps_max/iops_max require corresponding bps/iops values")
        if self.max and self.max < self.avg:
            raise QMPError("bps_max/iops_max cannot be lower than bps/iops")


NO_LIMIT = Rate()


@dataclass(frozen=True, slots=True)
class ThrottleLimits:
    """The limits of a group: of bytes and of requests, of both directions together and of each.

    Attributes:
        iops_size: A request counts as one for each so many bytes; 0 to count each as one.
    """

    bps_total: Rate = NO_LIMIT
    bps_read: Rate = NO_LIMIT
    bps_write: Rate = NO_LIMIT
    iops_total: Rate = NO_LIMIT
    iops_read: Rate = NO_LIMIT
    iops_write: Rate = NO_LIMIT
    iops_size: int = 0

    def check(self) -> None:
        """Refuse limits that contradict each other.

        Raises:
            QMPError: With QEMU's text.
        """
        if any(_is_twofold(*kind) for kind in self._kinds()):
            raise QMPError("bps/iops/max total values and read/write values cannot be used at the same time")
        if self.iops_size and not any((self.iops_total.avg, self.iops_read.avg, self.iops_write.avg)):
            raise QMPError("iops size requires an iops value to be set")
        for rates in self._kinds():
            for rate in rates:
                rate.check()

    def _kinds(self) -> tuple[tuple[Rate, Rate, Rate], ...]:
        return (
            (self.bps_total, self.bps_read, self.bps_write),
            (self.iops_total, self.iops_read, self.iops_write),
        )

    def changed(self, members: Mapping[str, Any]) -> Self:
        """Return these limits, not yet checked, with some of ``ThrottleLimits``' members in place of their own."""
        values: dict[str, Any] = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        for name, given in members.items():
            value = given
            if name == "iops-size":
                values["iops_size"] = value
                continue
            key, part = _split(name)
            if part == "max_length" and value < 0:
                # QEMU: takes it without its sign, and so for far too long.
                value += 1 << 64
            rate: Rate = values[key]
            values[key] = Rate(**{**_members(rate), part: value})
        return type(self)(**values)

    def to_wire(self) -> dict[str, int]:
        """Shape the limits as ``ThrottleLimits``."""
        wire = {"iops-size": self.iops_size}
        for name in MEMBERS:
            if name != "iops-size":
                key, part = _split(name)
                wire[name] = getattr(getattr(self, key), part)
        return wire


def _is_twofold(total: Rate, read: Rate, write: Rate) -> bool:
    return bool((total.avg and (read.avg or write.avg)) or (total.max and (read.max or write.max)))


def _members(rate: Rate) -> dict[str, int]:
    return {"avg": rate.avg, "max": rate.max, "max_length": rate.max_length}


def _split(name: str) -> tuple[str, str]:
    """Take ``bps-total-max-length`` apart into the rate's name and the rate's member."""
    kind, direction, *part = name.split("-", 2)
    return f"{kind}_{direction}", part[0].replace("-", "_") if part else "avg"


MEMBERS = (
    *(
        f"{kind}-{direction}{part}"
        for kind in ("iops", "bps")
        for direction in ("total", "read", "write")
        for part in ("", "-max", "-max-length")
    ),
    "iops-size",
)
"""The members of ``ThrottleLimits``; with ``x-`` before them they are a group's other properties."""
