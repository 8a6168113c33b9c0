"""Name the options of drivers that are sizes, which have suffixes where a person writes them."""

from typing import Final

SIZES: Final = frozenset(
    (
        "cache-size",
        "l2-cache-size",
        "l2-cache-entry-size",
        "refcount-cache-size",
        "offset",
        "size",
        "prealloc-align",
        "prealloc-size",
        "align",
        "max-transfer",
        "opt-write-zero",
        "max-write-zero",
        "opt-discard",
        "max-discard",
        "log-sector-size",
    )
)
