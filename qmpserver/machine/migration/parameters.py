"""Keep the figures of migration."""

from collections.abc import Callable, Mapping
from typing import Any

from qmpserver.block.graph import is_well_formed
from qmpserver.errors import QMPError
from qmpserver.units import GiB, MiB, is_power_of_two

_DEFAULTS: dict[str, Any] = {
    "announce-initial": 50,
    "announce-max": 550,
    "announce-rounds": 5,
    "announce-step": 100,
    "throttle-trigger-threshold": 50,
    "cpu-throttle-initial": 20,
    "cpu-throttle-increment": 10,
    "cpu-throttle-tailslow": False,
    "tls-creds": "",
    "tls-hostname": "",
    "tls-authz": "",
    "max-bandwidth": 128 * MiB,
    "avail-switchover-bandwidth": 0,
    "downtime-limit": 300,
    "x-checkpoint-delay": 20000,
    "multifd-channels": 2,
    "xbzrle-cache-size": 64 * MiB,
    "max-postcopy-bandwidth": 0,
    "max-cpu-throttle": 99,
    "multifd-compression": "none",
    "multifd-zlib-level": 1,
    "multifd-qatzip-level": 1,
    "multifd-zstd-level": 1,
    "x-vcpu-dirty-limit-period": 1000,
    "vcpu-dirty-limit": 1,
    "mode": "normal",
    "zero-page-detection": "multifd",
    "direct-io": False,
    "x-rdma-chunk-size": MiB,
    "cpr-exec-command": [],
}
"""QEMU's values; a mapping of bitmaps is shown only once it was set."""

_RANGES = {
    "announce-initial": (0, 100000, "a value between 0 and 100000"),
    "announce-max": (0, 100000, "a value between 0 and 100000"),
    "announce-rounds": (0, 1000, "a value between 0 and 1000"),
    "announce-step": (0, 10000, "a value between 0 and 10000"),
    "throttle-trigger-threshold": (1, 100, "an integer in the range of 1 to 100"),
    "cpu-throttle-initial": (1, 99, "an integer in the range of 1 to 99"),
    "cpu-throttle-increment": (1, 99, "an integer in the range of 1 to 99"),
    "downtime-limit": (0, 2_000_000, "an integer in the range of 0 to (2000 * 1000) ms"),
    "multifd-channels": (1, 255, "a value between 1 and 255"),
    "multifd-qatzip-level": (1, 9, "a value between 1 and 9"),
    "multifd-zlib-level": (0, 9, "a value between 0 and 9"),
    "multifd-zstd-level": (0, 20, "a value between 0 and 20"),
    "x-vcpu-dirty-limit-period": (1, 1000, "a value between 1 and 1000"),
}

_PAGE = 4096
_MAX_ALIAS = 255
_MASK = (1 << 64) - 1


class Parameters:
    """The figures of migration.

    What only concerns guest memory, of which there is none, is kept and shown.
    """

    def __init__(self) -> None:
        self._values = dict(_DEFAULTS)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def shown(self) -> dict[str, Any]:
        """Return them as ``MigrationParameters``."""
        return dict(self._values)

    @property
    def bitmap_mapping(self) -> list[dict[str, Any]] | None:
        """Which bitmaps go along, as ``BitmapMigrationNodeAlias``, or None for all under their own names."""
        mapping: list[dict[str, Any]] | None = self._values.get("block-bitmap-mapping")
        return mapping

    def set(self, wanted: Mapping[str, Any]) -> None:
        """Change some.

        Raises:
            QMPError: One of them cannot be so; nothing has changed.
        """
        changed = {**self._values, **{name: _kept(value) for name, value in wanted.items()}}
        for name in wanted:
            _check_range(name, changed[name])
        for check in _CHECKS:
            check(changed)
        self._values = changed


def _kept(value: Any) -> Any:
    """Return how a value is shown."""
    if value is None:
        return ""
    # QEMU: a negative size is the unsigned one with the same bits.
    return value & _MASK if isinstance(value, int) and value < 0 else value


def _check_range(name: str, value: Any) -> None:
    least, most, words = _RANGES.get(name, (0, 0, ""))
    if words and not least <= value <= most:
        raise QMPError(f"Option {name} expects {words}")


def _check_max_throttle(values: Mapping[str, Any]) -> None:
    if not values["cpu-throttle-initial"] <= values["max-cpu-throttle"] <= 99:
        raise QMPError(
            "Option max-cpu-throttle expects an integer in the range of cpu-throttle-initial to 99"
        )


def _check_cache_size(values: Mapping[str, Any]) -> None:
    size = values["xbzrle-cache-size"]
    if size < _PAGE or not is_power_of_two(size):
        raise QMPError("Option xbzrle-cache-size expects a power of two no less than the target page size")


def _check_chunk_size(values: Mapping[str, Any]) -> None:
    size = values["x-rdma-chunk-size"]
    if not MiB <= size <= GiB or not is_power_of_two(size):
        raise QMPError("Option x_rdma_chunk_size expects a power of 2 in the range 1MiB to 1024MiB")


def _check_dirty_limit(values: Mapping[str, Any]) -> None:
    if values["vcpu-dirty-limit"] < 1:
        raise QMPError("Parameter 'vcpu-dirty-limit' must be greater than 1 MB/s")


def _check_mapping(values: Mapping[str, Any]) -> None:
    """Hold that names on either side stand for one thing each."""
    mapping = values.get("block-bitmap-mapping") or []
    for entry in mapping:
        _check_alias("node", entry["alias"])
        for bitmap in entry["bitmaps"]:
            _check_alias("bitmap", bitmap["alias"])
    _check_once("The node name", [entry["node-name"] for entry in mapping], "is mapped twice")
    _check_once("The node alias", [entry["alias"] for entry in mapping], "is used twice")
    for entry in mapping:
        place = f"{entry['node-name']}'/'"
        _check_once("The bitmap", [bitmap["name"] for bitmap in entry["bitmaps"]], "is mapped twice", place)
        alias = f"{entry['alias']}'/'"
        _check_once(
            "The bitmap alias", [bitmap["alias"] for bitmap in entry["bitmaps"]], "is used twice", alias
        )


def _check_alias(what: str, alias: str) -> None:
    if len(alias.encode()) > _MAX_ALIAS:
        wrong = f"is longer than {_MAX_ALIAS} bytes"
    elif what == "node" and not is_well_formed(alias):
        wrong = "is not well-formed"
    else:
        return
    raise QMPError(f"Invalid mapping given for block-bitmap-mapping: The {what} alias '{alias}' {wrong}")


def _check_once(what: str, names: list[str], wrong: str, place: str = "") -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise QMPError(f"Invalid mapping given for block-bitmap-mapping: {what} '{place}{name}' {wrong}")


_CHECKS: tuple[Callable[[Mapping[str, Any]], None], ...] = (
    _check_max_throttle,
    _check_cache_size,
    _check_chunk_size,
    _check_dirty_limit,
    _check_mapping,
)
