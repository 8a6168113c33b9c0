"""Shape what queries show of nodes: BlockDeviceInfo, ImageInfo, BlockStats and the debug graph."""

import contextlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from qmpserver.block import chain, filenames, internal_snapshots
from qmpserver.block.backend import BlockBackend
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.filenames import Names
from qmpserver.block.graph import Graph
from qmpserver.block.node import Edge, Node, Parent
from qmpserver.block.opening import Opening
from qmpserver.driver_api.driver import MappingDriver
from qmpserver.driver_api.extras import SnapshotInfo, SupportsBackingFile
from qmpserver.driver_api.limits import Limits, inherited_limits
from qmpserver.driver_api.permissions import ChildRole, Permission
from qmpserver.errors import QMPError
from qmpserver.units import NS_PER_SECOND

_THROTTLE_OFF = dict.fromkeys(("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)

_OPT_MEM_ALIGNMENT = 4096
_MAX_IOV = 1024


Sizes = Mapping[str, int]
"""The bytes that each node occupies on the host, by node name, where that is known."""


async def allocated_sizes(nodes: Iterable[Node]) -> dict[str, int]:
    """Ask what each node occupies on the host.  Only this has to wait; the graph may change meanwhile."""
    sizes: dict[str, int] = {}
    for node in nodes:
        with contextlib.suppress(OSError):
            size = await _allocated_size(node)
            if size is not None:
                sizes[node.node_name] = size
    return sizes


@dataclass(slots=True)
class Shown:
    """What was shaped already for one answer, so that a chain's images are not shaped over and over.

    Attributes:
        names: The nodes' names.
        images: The ``ImageInfo`` of nodes, with all that lies below.
    """

    names: Names = field(default_factory=Names)
    images: dict[Node, dict[str, Any]] = field(default_factory=dict)


def block_device_info(node: Node, sizes: Sizes, *, flat: bool, shown: Shown | None = None) -> dict[str, Any]:
    """Shape a node as ``BlockDeviceInfo``.

    Args:
        node: The node.
        sizes: What nodes occupy.
        flat: Leave out what lies below.
        shown: What the answer holds already; it is added to.
    """
    shown = shown or Shown()
    names = shown.names
    backing = node.backing
    info: dict[str, Any] = {
        "node-name": node.node_name,
        "drv": node.driver.format_name,
        "file": names.filename(node),
        "ro": node.read_only,
        "active": node.is_active,
        "encrypted": node.driver.image_info().get("encrypted", False),
        "detect_zeroes": node.flags.detect_zeroes,
        "write_threshold": _write_threshold(node),
        "backing_file_depth": 0 if flat else backing_depth(node),
        "cache": {"writeback": True, "direct": node.flags.direct, "no-flush": node.flags.no_flush},
        "children": [
            {"child": name, "node-name": edge.node.node_name}
            for name, edge in reversed(node.children.items())
        ],
        "image": image_info(node, sizes, flat=flat, shown=shown),
        **_THROTTLE_OFF,
    }
    if backing is not None:
        info["backing_file"] = names.filename(backing)
    if node.dirty_bitmaps:
        info["dirty-bitmaps"] = [dirty_bitmap_info(bitmap) for bitmap in reversed(node.dirty_bitmaps)]
    return info


def _write_threshold(node: Node) -> int:
    """Return the offset, or 0 for none; QEMU: it is a signed number here, and an unsigned one where it is set."""
    offset = node.write_threshold.offset if node.write_threshold is not None else 0
    return offset - (1 << 64) if offset >> 63 else offset


def dirty_bitmap_info(bitmap: DirtyBitmap) -> dict[str, Any]:
    """Shape a bitmap as ``BlockDirtyInfo``."""
    return {
        **({} if bitmap.name is None else {"name": bitmap.name}),
        "count": bitmap.count,
        "granularity": bitmap.granularity,
        "recording": bitmap.is_recording,
        "busy": bitmap.is_busy,
        "persistent": bitmap.is_persistent,
        **({"inconsistent": True} if bitmap.is_inconsistent else {}),
    }


def backing_depth(node: Node) -> int:
    """Count the nodes below `node` in its backing chain, filters included."""
    return sum(1 for _ in chain.nodes(node)) - 1


def image_info(node: Node, sizes: Sizes, *, flat: bool, shown: Shown | None = None) -> dict[str, Any]:
    """Shape a node as ``ImageInfo``; with `flat`, without its backing images."""
    shown = shown or Shown()
    if flat:
        return _own_image_info(node, sizes, shown.names)
    # From below, so that the chain's length is not bounded by the stack.
    missing = list(itertools.takewhile(lambda one: one not in shown.images, chain.nodes(node)))
    for one in reversed(missing):
        info = shown.images[one] = _own_image_info(one, sizes, shown.names)
        # QEMU: counts what a filter filters as its backing image, too.
        below = chain.below(one)
        if below is not None:
            info["backing-image"] = shown.images[below]
    return shown.images[node]


def _own_image_info(node: Node, sizes: Sizes, names: Names) -> dict[str, Any]:
    bearer = node.filtered if node.is_implicit and node.filtered is not None else node
    driver = node.driver
    info: dict[str, Any] = {
        "filename": names.filename(node),
        "format": driver.format_name,
        "virtual-size": node.size,
        **driver.image_info(),
        "limits": limits_info(_limits(node)),
    }
    below = _passed_on(node)
    if below is not None:
        info |= _filtered_info(below)
    if bearer.node_name in sizes:
        info["actual-size"] = sizes[bearer.node_name]
    info |= _backing_info(node)
    snapshots = internal_snapshots.of_node(node)
    if snapshots:
        info["snapshots"] = [snapshot_info(one) for one in snapshots]
    return info


def _passed_on(node: Node) -> Node | None:
    """Return the node whose data this one presents as it is; QEMU: a raw image counts as a filter here."""
    if isinstance(node.driver, MappingDriver) and node.driver.status_follows_child:
        return node.children["file"].node
    return node.filtered


def _limits(node: Node) -> Limits:
    """Return what a node asks of its requests, or of a raw image what the node below does, which applies it."""
    below = None if node.driver.is_filter else _passed_on(node)
    return node.driver.limits if below is None else inherited_limits([_limits(below)])


def _filtered_info(node: Node) -> dict[str, Any]:
    """Return what a filter shows of the image that `node` is, or is a filter of as well."""
    below = _passed_on(node)
    if below is not None:
        return _filtered_info(below)
    info = node.driver.image_info()
    return {name: info[name] for name in ("dirty-flag", "cluster-size") if name in info}


def snapshot_info(snapshot: SnapshotInfo) -> dict[str, Any]:
    """Shape a snapshot as ``SnapshotInfo``."""
    clock_s, clock_ns = divmod(snapshot.vm_clock_ns, NS_PER_SECOND)
    info: dict[str, Any] = {
        "id": snapshot.snapshot_id,
        "name": snapshot.name,
        "vm-state-size": snapshot.vm_state_size,
        "date-sec": snapshot.date_sec,
        "date-nsec": snapshot.date_nsec,
        "vm-clock-sec": clock_s,
        "vm-clock-nsec": clock_ns,
    }
    return info if snapshot.icount is None else {**info, "icount": snapshot.icount}


def _backing_info(node: Node) -> dict[str, Any]:
    name = node.backing_filename
    if name is None:
        return {}
    info: dict[str, Any] = {"backing-filename": name}
    # QEMU shows the name alone when it cannot be resolved.
    with contextlib.suppress(QMPError):
        info["full-backing-filename"] = filenames.backing_filename_of(node, name)
    driver = node.driver
    if isinstance(driver, SupportsBackingFile) and driver.backing_format is not None:
        info["backing-filename-format"] = driver.backing_format
    return info


async def _allocated_size(node: Node) -> int | None:
    """Return the bytes a node occupies on the host: its own, or those of all it is stored in."""
    own = await node.driver.allocated_size()
    if own is not None:
        return own
    total = None
    for name, edge in list(node.children.items()):
        size = await _allocated_size(edge.node) if name != "backing" else None
        if size is not None:
            total = (total or 0) + size
    return total


def limits_info(limits: Limits) -> dict[str, Any]:
    """Shape limits as ``BlockLimitsInfo``."""
    info = {
        "request-alignment": limits.request_alignment,
        "min-mem-alignment": limits.min_mem_alignment,
        "opt-mem-alignment": _OPT_MEM_ALIGNMENT,
        "max-iov": _MAX_IOV,
    }
    optional = {
        "write-zeroes-alignment": limits.pwrite_zeroes_alignment,
        "discard-alignment": limits.pdiscard_alignment,
        "max-transfer": limits.max_transfer,
        "max-hw-transfer": limits.max_hw_transfer,
        "max-hw-iov": limits.max_hw_iov,
        "opt-transfer": limits.opt_transfer,
        "max-write-zeroes": limits.max_pwrite_zeroes,
        "max-discard": limits.max_pdiscard,
    }
    return info | {name: value for name, value in optional.items() if value}


_COUNTED = ("rd", "wr", "unmap", "flush", "zone_append")
_ZERO_STATS: dict[str, Any] = {
    **{f"{kind}_bytes": 0 for kind in ("rd", "wr", "unmap", "zone_append")},
    **{f"{kind}_operations": 0 for kind in _COUNTED},
    **{f"{kind}_total_time_ns": 0 for kind in _COUNTED},
    **{f"{kind}_merged": 0 for kind in ("rd", "wr", "unmap", "zone_append")},
    **{f"failed_{kind}_operations": 0 for kind in _COUNTED},
    **{f"invalid_{kind}_operations": 0 for kind in _COUNTED},
    "account_invalid": False,
    "account_failed": False,
}


def node_stats(node: Node) -> dict[str, Any]:
    """Shape a node as ``BlockStats``: requests are counted per device, so only the highest offset counts."""
    storage = [node]
    while (below := storage_of(storage[-1])) is not None:
        storage.append(below)
    # From below, so that the depth is not bounded by the stack.
    stats = own_stats(storage.pop())
    for above in reversed(storage):
        stats = {**own_stats(above), "parent": stats}
    return stats


def own_stats(node: Node) -> dict[str, Any]:
    """Shape a node as ``BlockStats``, without what lies below."""
    stats: dict[str, Any] = {
        "node-name": node.node_name,
        "stats": {**_ZERO_STATS, "wr_highest_offset": node.stats.wr_highest_offset, "timed_stats": []},
    }
    own = node.driver.driver_stats()
    if own is not None:
        stats["driver-specific"] = own
    return stats


def storage_of(node: Node) -> Node | None:
    """Return the one node that holds, or presents, the data of a node itself, or None."""
    children = node.children
    primary = next((edge for edge in children.values() if edge.role & ChildRole.PRIMARY), None)
    if primary is not None and "data-file" not in children:
        return primary.node
    data = [edge.node for edge in children.values() if edge.role & ChildRole.DATA and edge is not primary]
    return data[0] if len(data) == 1 else None


def _root_users(nodes: Iterable[Node], devices: Iterable[Parent]) -> list[Parent]:
    """Return the users that are not nodes, nor about to be: devices' backends first, then others, then jobs."""
    found: list[Parent] = list(devices)
    for node in nodes:
        for edge in node.parents:
            if not isinstance(edge.parent, Node | Opening) and edge.parent not in found:
                found.append(edge.parent)
    return sorted(found, key=lambda parent: not isinstance(parent, BlockBackend))


class _GraphShape:
    """Numbers nodes and users in the order they are met, as QEMU does."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}
        self.nodes: list[dict[str, Any]] = []
        self.edges: list[dict[str, Any]] = []

    def number(self, item: object) -> int:
        return self.numbers.setdefault(id(item), len(self.numbers) + 1)

    def add(self, item: object, kind: str, name: str) -> None:
        self.nodes.append({"id": self.number(item), "type": kind, "name": name})

    def connect(self, edge: Edge) -> None:
        self.edges.append(
            {
                "parent": self.number(edge.parent),
                "child": self.number(edge.node),
                "name": edge.name,
                "perm": _permission_names(edge.used),
                "shared-perm": _permission_names(edge.shared),
            }
        )


def _permission_names(permissions: Permission) -> list[str]:
    return [bit.wire_name for bit in reversed(Permission) if bit in permissions]


def block_graph(graph: Graph) -> dict[str, Any]:
    """Shape the graph as ``XDbgBlockGraph``."""
    shape = _GraphShape()
    nodes = list(graph)
    for user in _root_users(nodes, graph.devices.users()):
        is_backend = isinstance(user, BlockBackend)
        shape.add(user, "block-backend" if is_backend else "block-job", user.name)
        for node in nodes:
            for edge in node.parents:
                if edge.parent is user:
                    shape.connect(edge)
    for node in nodes:
        shape.add(node, "block-driver", node.node_name)
        for edge in reversed(node.children.values()):
            shape.connect(edge)
    return {"nodes": shape.nodes[::-1], "edges": shape.edges[::-1]}
