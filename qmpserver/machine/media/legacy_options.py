"""Read the options of ``-drive`` and ``drive_add``: those of the drive, and what is left for its medium.

All values are strings, and names are dotted, as on a command line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qmpserver.errors import ParameterError, QMPError
from qmpserver.jobs.error_policy import OnError
from qmpserver.machine.media.error_policy import ErrorPolicy
from qmpserver.machine.media.throttle_limits import LIMITS
from qmpserver.numerals import decimal
from qmpserver.options import flat_options
from qmpserver.options.cache_modes import MODES, CacheMode
from qmpserver.options.host_modes import AIO_MODES, DISCARD_MODES
from qmpserver.throttling.limits import MEMBERS, ThrottleLimits

INTERFACES = ("none", "ide", "scsi", "floppy", "pflash", "mtd", "sd", "virtio", "xen")
"""What a drive can be plugged into, by the numbers that QEMU shows of them."""

_ALIASES = {
    "readonly": "read-only",
    "group": "throttling.group",
    **{name: f"throttling.{member}" for name, member in LIMITS.items() if not name.endswith("_length")},
}

_DETECT_ZEROES = ("off", "on", "unmap")
_HAVE_ERROR_POLICY = ("ide", "scsi", "virtio", "none")


@dataclass(frozen=True, slots=True)
class DriveOptions:
    """What ``-drive`` says.

    Attributes:
        drive_id: The drive's name, or None when it is called after its place.
        interface: What it is to be plugged into; one of `INTERFACES`, or None where the board decides.
        bus: The number of the bus, or None.
        unit: Its number on the bus, or None.
        index: Its number on all buses of the kind, or None.
        is_cdrom: It is a CD-ROM.
        filename: The image, or None.
        image_format: Its format, or None.
        read_only: It is not written.
        snapshot: What is written goes to a temporary overlay.
        copy_on_read: What is read from below is stored in it.
        write_cache: Writes may stay in caches until a flush.
        direct: The host's page cache is bypassed.
        no_flush: Nothing needs to reach the disk.
        aio: How the host does requests, or None.
        discard: Whether discards are passed on, or None.
        detect_zeroes: Whether writes of zeroes are looked for.
        policy: What becomes of errors.
        limits: How fast it may be.
        throttle_group: The group whose limits they are, or None.
        accounts_invalid: Requests that make no sense count as use.
        accounts_failed: Requests that fail count as use.
        intervals_s: Seconds over which things are counted as well.
        node: What is left: options of the node, by dotted names.
    """

    drive_id: str | None = None
    interface: str | None = None
    bus: int | None = None
    unit: int | None = None
    index: int | None = None
    is_cdrom: bool = False
    filename: str | None = None
    image_format: str | None = None
    read_only: bool = False
    snapshot: bool = False
    copy_on_read: bool = False
    write_cache: bool = True
    direct: bool = False
    no_flush: bool = False
    aio: str | None = None
    discard: str | None = None
    detect_zeroes: str = "off"
    policy: ErrorPolicy = field(default_factory=ErrorPolicy)
    limits: ThrottleLimits = field(default_factory=ThrottleLimits)
    throttle_group: str | None = None
    accounts_invalid: bool = True
    accounts_failed: bool = True
    intervals_s: tuple[int, ...] = ()
    node: Mapping[str, str] = field(default_factory=dict)


def drive_options(given: Mapping[str, str]) -> DriveOptions:
    """Return what the options say.

    Raises:
        QMPError: One of them is no good, in QEMU's words.
    """
    left = _Options(_without_aliases(given))
    cache = left.cache()
    is_cdrom = left.media() == "cdrom"
    is_read_only = left.boolean("read-only") or is_cdrom
    interface = left.interface()
    place = {name: left.place(name) for name in ("bus", "unit", "index")}
    if place["index"] is not None and (place["bus"] is not None or place["unit"] is not None):
        raise QMPError("index cannot be used with bus and unit")
    return DriveOptions(
        drive_id=left.text("id"),
        interface=interface,
        **place,
        is_cdrom=is_cdrom,
        filename=left.text("file"),
        policy=left.policy(interface),
        read_only=is_read_only,
        copy_on_read=left.boolean("copy-on-read") and not is_read_only,
        snapshot=left.boolean("snapshot"),
        accounts_invalid=left.boolean("stats-account-invalid", default=True),
        accounts_failed=left.boolean("stats-account-failed", default=True),
        discard=left.discard(),
        aio=left.choice("aio", AIO_MODES, "invalid aio option"),
        throttle_group=left.text("throttling.group"),
        limits=left.limits(),
        detect_zeroes=left.choice("detect-zeroes", _DETECT_ZEROES, "invalid parameter value: {}") or "off",
        intervals_s=left.intervals(),
        write_cache=not cache.writethrough,
        direct=cache.direct,
        no_flush=cache.no_flush,
        image_format=left.image_format(),
        node=left.values,
    )


def _without_aliases(given: Mapping[str, str]) -> dict[str, str]:
    options = dict(given)
    for alias, name in _ALIASES.items():
        if alias in options:
            if name in options:
                raise QMPError(f"'{name}' and its alias '{alias}' can't be used at the same time")
            options[name] = options.pop(alias)
    return options


class _Options:
    """Options from which those are taken out that are understood.

    Attributes:
        values: Those that are left.
    """

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def text(self, name: str) -> str | None:
        """Take out a text."""
        return self.values.pop(name, None)

    def boolean(self, name: str, *, default: bool = False) -> bool:
        """Take out a boolean."""
        value = self.values.pop(name, None)
        return default if value is None else flat_options.boolean(name, value)

    def number(self, name: str) -> int | None:
        """Take out a whole number."""
        value = self.values.pop(name, None)
        return None if value is None else flat_options.number(name, value)

    def place(self, name: str) -> int | None:
        """Take out the number of a place; QEMU: -1 is none, as whoever has no wish may write."""
        value = self.number(name)
        return None if value == flat_options.MAX_NUMBER else value

    def choice(self, name: str, choices: tuple[str, ...], refusal: str) -> str | None:
        """Take out one of several words."""
        value = self.values.pop(name, None)
        if value is not None and value not in choices:
            raise ParameterError(refusal.format(value))
        return value

    def media(self) -> str | None:
        """Take out what kind of disk it is."""
        return self.choice("media", ("disk", "cdrom"), "'{}' invalid media")

    def interface(self) -> str | None:
        """Take out what it is plugged into."""
        return self.choice("if", INTERFACES, "unsupported bus type '{}'")

    def discard(self) -> str | None:
        """Take out whether discards are passed on."""
        value = self.choice("discard", tuple(DISCARD_MODES), "Invalid discard option")
        return None if value is None else DISCARD_MODES[value]

    def cache(self) -> CacheMode:
        """Take out how it is cached: as a mode, of which single parts may be said otherwise."""
        mode = MODES[self.choice("cache", tuple(MODES), "invalid cache option") or "writeback"]
        return CacheMode(
            direct=self.boolean("cache.direct", default=mode.direct),
            no_flush=self.boolean("cache.no-flush", default=mode.no_flush),
            writethrough=not self.boolean("cache.writeback", default=not mode.writethrough),
        )

    def policy(self, interface: str | None) -> ErrorPolicy:
        """Take out what becomes of errors."""
        usual = ErrorPolicy()
        return ErrorPolicy(
            self._on_error("rerror", "read", interface, ("ignore", "report", "stop")) or usual.rerror,
            self._on_error("werror", "write", interface, ("ignore", "report", "stop", "enospc"))
            or usual.werror,
        )

    def _on_error(
        self, name: str, direction: str, interface: str | None, choices: tuple[str, ...]
    ) -> OnError | None:
        if name in self.values and interface is not None and interface not in _HAVE_ERROR_POLICY:
            raise QMPError(f"{name} is not supported by this bus type")
        value = self.choice(name, choices, f"'{{}}' invalid {direction} error action")
        return None if value is None else OnError(value)

    def limits(self) -> ThrottleLimits:
        """Take out the limits."""
        wanted: dict[str, Any] = {}
        for member in MEMBERS:
            value = self.number(f"throttling.{member}")
            if value is not None:
                wanted[member] = value
        limits = ThrottleLimits().changed(wanted)
        limits.check()
        return limits

    def intervals(self) -> tuple[int, ...]:
        """Take out the intervals over which things are counted."""
        names = [name for name in self.values if name.startswith("stats-intervals.")]
        found = []
        for name in names:
            value = self.values.pop(name)
            if not value.isdecimal() or not 0 < (interval := decimal(value)) < 1 << 32:
                raise QMPError(f"Invalid interval length: {value}")
            found.append(interval)
        return tuple(found)

    def image_format(self) -> str | None:
        """Take out the format, which is the driver by another name."""
        value = self.values.pop("format", None)
        if value is not None and "driver" in self.values:
            raise QMPError("Cannot specify both 'driver' and 'format'")
        return value or self.values.pop("driver", None)
