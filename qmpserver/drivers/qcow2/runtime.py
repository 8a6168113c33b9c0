"""Read the options that an image is opened with.

Source: the ``BlockdevOptionsQcow2`` members; refusals are in QEMU's words.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from qmpserver.drivers.qcow2 import kinds
from qmpserver.drivers.qcow2.header import INCOMPAT_EXTENDED_L2, Header
from qmpserver.errors import QMPError
from qmpserver.units import align_up, is_power_of_two

_INT_MAX: Final = (1 << 31) - 1
_UINT_MAX: Final = (1 << 32) - 1
_L2_LEAST: Final = 2
_REFCOUNT_LEAST: Final = 4
"""Fewest tables and blocks that are kept, as in QEMU."""
_CLEAN_INTERVAL: Final = 600

CHANGEABLE: Final = frozenset(
    (
        "lazy-refcounts",
        "pass-discard-request",
        "pass-discard-snapshot",
        "pass-discard-other",
        "discard-no-unref",
        "overlap-check",
        "cache-size",
        "l2-cache-size",
        "l2-cache-entry-size",
        "refcount-cache-size",
        "cache-clean-interval",
    )
)
"""The options that can be changed while the image is open."""

_OVERLAP_KINDS: Final = {
    "main-header": kinds.HEADER,
    "active-l1": kinds.L1,
    "active-l2": kinds.L2,
    "refcount-table": kinds.REFTABLE,
    "refcount-block": kinds.REFBLOCK,
    "snapshot-table": kinds.SNAPSHOTS,
    "inactive-l1": kinds.INACTIVE_L1,
    "inactive-l2": kinds.INACTIVE_L2,
    "bitmap-directory": kinds.BITMAPS,
}
_CONSTANT: Final = frozenset(
    ("main-header", "active-l1", "refcount-table", "snapshot-table", "bitmap-directory")
)
_CACHED: Final = _CONSTANT | {"active-l2", "refcount-block", "inactive-l1"}
_TEMPLATES: Final[dict[str, frozenset[str]]] = {
    "none": frozenset(),
    "constant": _CONSTANT,
    "cached": _CACHED,
    "all": frozenset(_OVERLAP_KINDS),
}
_GUARDED: Final = frozenset(_OVERLAP_KINDS[name] for name in _CACHED)
"""The kinds that are guarded unless an option says otherwise."""


class RuntimeOptions(NamedTuple):
    """How one image is to be used while it is open.

    Attributes:
        l2_tables: Most L2 tables kept in memory; None for the driver's own bound.
        refcount_blocks: Most refcount blocks kept in memory; None for the driver's own bound.
        clean_interval: Seconds after which what was not used is dropped from memory; 0 for never.
        guarded: The kinds of metadata that are not written over.
        discard_request: Space that the guest gives up is given back to the file below.
        discard_snapshot: So is what a deleted snapshot held.
        discard_other: So is what the image's own structures held.
        discard_no_unref: A discarded cluster keeps its place in the file.
    """

    l2_tables: int | None = None
    refcount_blocks: int | None = None
    clean_interval: int = _CLEAN_INTERVAL
    guarded: frozenset[str] = _GUARDED
    discard_request: bool = False
    discard_snapshot: bool = True
    discard_other: bool = False
    discard_no_unref: bool = False

    @classmethod
    def parse(cls, options: Mapping[str, Any], header: Header, *, discard: bool) -> "RuntimeOptions":
        """Read and check options under their wire names.

        Args:
            options: The driver's own options.
            header: The image's header.
            discard: The node passes discards down unless told otherwise.

        Raises:
            QMPError: A value cannot be had; with QEMU's text.
        """
        l2_tables, refcount_blocks = _cache_sizes(options, header)
        interval = options.get("cache-clean-interval", _CLEAN_INTERVAL)
        if not 0 <= interval <= _UINT_MAX:
            raise QMPError("Cache clean interval too big")
        if header.version < 3 and options.get("lazy-refcounts"):
            raise QMPError("Lazy refcounts require a qcow2 image with at least qemu 1.1 compatibility level")
        if header.version < 3 and options.get("discard-no-unref"):
            raise QMPError("discard-no-unref is only supported since qcow2 version 3")
        return cls(
            l2_tables=l2_tables,
            refcount_blocks=refcount_blocks,
            clean_interval=interval,
            guarded=_guarded(options.get("overlap-check", "cached")),
            discard_request=options.get("pass-discard-request", discard),
            discard_snapshot=options.get("pass-discard-snapshot", True),
            discard_other=options.get("pass-discard-other", False),
            discard_no_unref=options.get("discard-no-unref", False),
        )


def _guarded(choice: str | Mapping[str, Any]) -> frozenset[str]:
    flags: Mapping[str, Any] = {"template": choice} if isinstance(choice, str) else choice
    template = _TEMPLATES[flags.get("template", "cached")]
    return frozenset(kind for name, kind in _OVERLAP_KINDS.items() if flags.get(name, name in template))


def _cache_sizes(options: Mapping[str, Any], header: Header) -> tuple[int | None, int | None]:
    """Return how many L2 tables and refcount blocks may be kept, each None where nothing says so."""
    sizes = {name: options.get(name) for name in ("cache-size", "l2-cache-size", "refcount-cache-size")}
    for name, size in sizes.items():
        if size is not None and size < 0:
            raise QMPError(f"Value '{size}' is out of range for parameter '{name}'")
    least = 512
    entry_size = options.get("l2-cache-entry-size", header.cluster_size)
    l2_bytes, refcount_bytes = _share(
        header, **{name.replace("-", "_"): size for name, size in sizes.items()}
    )
    if not (is_power_of_two(entry_size) and least <= entry_size <= header.cluster_size):
        raise QMPError(
            f"L2 cache entry size must be a power of two between {least} and the cluster size "
            f"({header.cluster_size})"
        )
    return (
        _entries("L2", l2_bytes, header.cluster_size, _L2_LEAST),
        _entries("Refcount", refcount_bytes, header.cluster_size, _REFCOUNT_LEAST),
    )


def _share(
    header: Header, cache_size: int | None, l2_cache_size: int | None, refcount_cache_size: int | None
) -> tuple[int | None, int | None]:
    """Share the memory for both caches between them, as QEMU does."""
    entry_size = 16 if header.incompatible & INCOMPAT_EXTENDED_L2 else 8
    entries = align_up(header.size, header.cluster_size) // header.cluster_size
    largest = align_up(entries * entry_size, header.cluster_size)
    l2, refcount = l2_cache_size, refcount_cache_size
    if cache_size is None:
        return None if l2 is None else min(l2, largest), refcount
    if l2 is not None and refcount is not None:
        raise QMPError("cache-size, l2-cache-size and refcount-cache-size may not be set at the same time")
    if l2 is not None and l2 > cache_size:
        raise QMPError("l2-cache-size may not exceed cache-size")
    if refcount is not None:
        if refcount > cache_size:
            raise QMPError("refcount-cache-size may not exceed cache-size")
        return cache_size - refcount, refcount
    if l2 is not None:
        return min(l2, largest), cache_size - l2
    least = _REFCOUNT_LEAST * header.cluster_size
    if cache_size >= largest + least:
        return largest, cache_size - largest
    return cache_size - min(cache_size, least), min(cache_size, least)


def _entries(name: str, size: int | None, cluster_size: int, least: int) -> int | None:
    if size is None:
        return None
    if size // cluster_size > _INT_MAX:
        raise QMPError(f"{name} cache size too big")
    return max(size // cluster_size, least)
