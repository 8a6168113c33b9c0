"""Choose metadata contexts by what a client asks.

A query names a context, or what a context's name begins with: ``base:`` stands for all contexts of the
namespace in a listing.  Queries of a namespace that is unknown are ignored.
"""

from collections.abc import Iterable, Sequence
from typing import Final

BASE_ALLOCATION: Final = "base:allocation"
ALLOCATION_DEPTH: Final = "qemu:allocation-depth"
DIRTY_BITMAP: Final = "qemu:dirty-bitmap:"

MAX_CONTEXTS: Final = 4096
"""Queries of one option; more are refused."""

_PREFIXES: Final = ("base:", "qemu:", DIRTY_BITMAP)


def listed(queries: Sequence[str], offered: Sequence[str]) -> list[str]:
    """Return the contexts that a listing names; no query at all asks for everything."""
    if not queries:
        return list(offered)
    return _matching(queries, offered, may_be_prefix=True)


def chosen(queries: Sequence[str], offered: Sequence[str]) -> list[str]:
    """Return the contexts that a client selects; a namespace alone selects nothing."""
    return _matching(queries, offered, may_be_prefix=False)


def _matching(queries: Iterable[str], offered: Sequence[str], *, may_be_prefix: bool) -> list[str]:
    wanted: set[str] = set()
    for query in queries:
        if may_be_prefix and query in _PREFIXES:
            wanted.update(name for name in offered if name.startswith(query))
        elif query in offered:
            wanted.add(query)
    return [name for name in offered if name in wanted]
