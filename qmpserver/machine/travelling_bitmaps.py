"""Take dirty bitmaps along to another process.

What was not asked for on the other side, or has no node there, is left out: a backup then begins anew.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from qmpserver.block.bitmap_checks import check_readable
from qmpserver.block.bitmap_lookup import on_node
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.errors import QMPError
from qmpserver.log import get_logger
from qmpserver.machine.saved_state import Mapped, SavedBitmap
from qmpserver.units import is_power_of_two

_log = get_logger("migration")

MAX_NAME: Final = 255
_GRANULARITIES: Final = (512, 1 << 31)
_MOST_BITS: Final = 1 << 31
"""More would keep the machine from running for too long."""


@dataclass(frozen=True, slots=True)
class Traveller:
    """A bitmap that goes along.

    Attributes:
        node: What its node is called underway.
        name: What it is called underway.
        bitmap: The bitmap, which nobody else may use meanwhile.
    """

    node: str
    name: str
    bitmap: DirtyBitmap


def claim(graph: Graph, mapping: Mapped | None) -> list[Traveller]:
    """Keep the bitmaps that are to go along from being used otherwise, until :func:`let_go`.

    Args:
        graph: Where they are.
        mapping: Which ones and by which names, or None for all under their own names.

    Raises:
        QMPError: One cannot go; none is kept.
    """
    found = [*(_all(graph) if mapping is None else _mapped(graph, mapping))]
    for traveller in found:
        check_readable(traveller.bitmap)
        _check_size(traveller.bitmap)
    for traveller in found:
        traveller.bitmap.is_busy = True
    return found


def _check_size(bitmap: DirtyBitmap) -> None:
    if bitmap.bits.length > _MOST_BITS:
        raise QMPError(f"Bitmap '{bitmap.name}' is too large to be migrated")


def let_go(travellers: Iterable[Traveller]) -> None:
    """Let bitmaps be used again."""
    for traveller in travellers:
        traveller.bitmap.is_busy = False


def _all(graph: Graph) -> Iterator[Traveller]:
    for node in graph:
        alias = node.device_or_node_name
        for bitmap in node.dirty_bitmaps:
            if bitmap.name is None:
                continue
            if alias.startswith("#"):
                raise QMPError(
                    f"Bitmap '{bitmap.name}' in a node with auto-generated name '{alias}' can't be migrated"
                )
            if len(bitmap.name.encode()) > MAX_NAME:
                raise QMPError(f"Cannot migrate bitmap '{bitmap.name}': its name is too long")
            yield Traveller(alias, bitmap.name, bitmap)


def _mapped(graph: Graph, mapping: Mapped) -> Iterator[Traveller]:
    for entry in mapping:
        node = graph.get(entry["node-name"])
        for wanted in entry["bitmaps"]:
            bitmap = None if node is None else on_node(node, wanted["name"])
            if bitmap is not None:
                yield Traveller(entry["alias"], wanted["alias"], bitmap)


def pack(travellers: Iterable[Traveller]) -> tuple[SavedBitmap, ...]:
    """Return bitmaps as they travel.  Nothing is written to their nodes any more."""
    return tuple(
        SavedBitmap(
            one.node,
            one.name,
            one.bitmap.granularity,
            one.bitmap.is_enabled,
            one.bitmap.is_persistent,
            zlib.compress(one.bitmap.bits.dump(0, one.bitmap.bits.length)),
        )
        for one in travellers
    )


# On the other side

Arrived = list[tuple[Node, DirtyBitmap]]
"""Bitmaps with the nodes that they belong to."""


def unpack(graph: Graph, saved: Iterable[SavedBitmap], mapping: Mapped | None) -> Arrived:
    """Return the bitmaps that have arrived; they are not at their nodes yet.

    Args:
        graph: Where the nodes are.
        saved: The bitmaps.
        mapping: What they are to be called here, or None for their own names.

    Raises:
        QMPError: One is damaged, or there is one of that name already; nothing has changed.
    """
    arrived: Arrived = []
    for one in saved:
        wanted = _wanted_here(one, mapping)
        node = None if wanted is None else _node_here(graph, wanted[0], is_mapped=mapping is not None)
        if wanted is None or node is None:
            _log.warning("dirty bitmap left out", node=one.node, bitmap=one.name)
            continue
        _, name, is_persistent = wanted
        if on_node(node, name) is not None or any(
            (node, name) == (other, held.name) for other, held in arrived
        ):
            raise QMPError(f"Bitmap with the same name ('{name}') already exists on destination")
        arrived.append((node, _made(one, node, name, is_persistent=is_persistent)))
    return arrived


def _wanted_here(one: SavedBitmap, mapping: Mapped | None) -> tuple[str, str, bool] | None:
    """Return node, name and persistence that a bitmap is to have here, or None when it is not asked for."""
    if mapping is None:
        return one.node, one.name, one.is_persistent
    for entry in mapping:
        for wanted in entry["bitmaps"] if entry["alias"] == one.node else ():
            if wanted["alias"] == one.name:
                is_persistent = wanted.get("transform", {}).get("persistent", one.is_persistent)
                return entry["node-name"], wanted["name"], is_persistent
    return None


def _node_here(graph: Graph, name: str, *, is_mapped: bool) -> Node | None:
    if not is_mapped and name in graph.devices:
        return graph.devices.root_of(name)
    return graph.get(name)


def _made(one: SavedBitmap, node: Node, name: str, *, is_persistent: bool) -> DirtyBitmap:
    least, most = _GRANULARITIES
    if not (is_power_of_two(one.granularity) and least <= one.granularity <= most):
        raise QMPError(f"Bitmap '{one.name}' has a granularity of {one.granularity} bytes")
    bitmap = DirtyBitmap(node.size, one.granularity, name)
    _check_size(bitmap)
    bitmap.is_enabled, bitmap.is_persistent = one.is_enabled, is_persistent
    length = -(-bitmap.bits.length // 8)
    unpacking = zlib.decompressobj()
    try:
        bits = unpacking.decompress(one.marks, length + 1)
    except zlib.error as error:
        raise QMPError(f"Bitmap '{one.name}' is damaged") from error
    if len(bits) != length:
        raise QMPError(f"Bitmap '{one.name}' is of a node of another size than '{node.node_name}'")
    bitmap.bits.load(0, bits)
    return bitmap


def install(arrived: Arrived) -> None:
    """Put bitmaps to their nodes."""
    for node, bitmap in arrived:
        node.dirty_bitmaps.append(bitmap)
