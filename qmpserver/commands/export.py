"""Offer nodes to others."""

from collections.abc import Sequence
from typing import Any

from qmpserver.block import activation, chain
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.node import Node
from qmpserver.chardevs.store import socket_address
from qmpserver.daemon import Daemon
from qmpserver.errors import QMPError
from qmpserver.exports.nbd_contexts import BitmapContext
from qmpserver.exports.nbd_export import NbdExport
from qmpserver.exports.nbd_server import DEFAULT_HANDSHAKE_S, DEFAULT_MAX_CONNECTIONS, NbdServerOptions
from qmpserver.exports.tls import TlsServer
from qmpserver.monitor.commands import Client

MAX_NAME = 4096
"""Bytes of an export's name, or of its description."""


def nbd_server_start(
    daemon: Daemon,
    *,
    client: Client,
    addr: dict[str, Any],
    tls_creds: str | None = None,
    tls_authz: str | None = None,
    max_connections: int = DEFAULT_MAX_CONNECTIONS,
    handshake_max_seconds: int = DEFAULT_HANDSHAKE_S,
) -> None:
    """Listen for NBD clients."""
    daemon.nbd.check_not_running()
    tls = None
    if tls_creds is not None:
        authorization = daemon.objects.authorization(tls_authz) if tls_authz is not None else None
        tls = TlsServer(
            daemon.objects.credentials(tls_creds, is_server=True).context(),
            authorization.admits if authorization is not None else None,
        )
    elif tls_authz is not None:
        raise QMPError("TLS authorization is of no use without TLS credentials")
    address = socket_address(addr, client.fds.claim)
    daemon.nbd.start(NbdServerOptions(address, max_connections, handshake_max_seconds, tls))


async def nbd_server_stop(daemon: Daemon) -> None:
    """Listen no more, and take all NBD exports away."""
    daemon.nbd.stop()
    await daemon.exports.remove_all(NbdExport)


async def nbd_server_add(
    daemon: Daemon,
    *,
    device: str,
    name: str | None = None,
    description: str | None = None,
    writable: bool = False,
    bitmap: str | None = None,
) -> None:
    """Offer a node over NBD, the older way."""
    server = daemon.nbd.server
    node = daemon.graph.find(device)
    daemon.exports.check_new_id(name or device)
    server.check_new_name(name or device)
    options: dict[str, Any] = {
        "id": name or device,
        "name": name or device,
        "writable": writable and not node.read_only,
        "bitmaps": [] if bitmap is None else [bitmap],
    }
    if description is not None:
        options["description"] = description
    await _add_nbd(daemon, node, options)


async def nbd_server_remove(daemon: Daemon, *, name: str, mode: str = "safe") -> None:
    """Take an export away, the older way."""
    await block_export_del(daemon, id=name, mode=mode)


async def block_export_add(daemon: Daemon, *, options: dict[str, Any]) -> None:
    """Offer a node."""
    daemon.exports.check_new_id(options["id"])
    node = daemon.graph.get(options["node-name"])
    if node is None:
        text = f"Cannot find device='' nor node-name='{options['node-name']}'"
        raise QMPError(text, code="not-found", node=options["node-name"])
    if options.get("writable") and node.read_only:
        raise QMPError("Cannot export read-only node as writable", code="read-only", node=node.node_name)
    _check_threads(daemon, options.get("iothread"))
    if options["type"] != "nbd":
        raise QMPError(f"Exports of type '{options['type']}' are not supported", code="not-supported")
    await _add_nbd(daemon, node, options)


def _check_threads(daemon: Daemon, wanted: str | Sequence[str] | None) -> None:
    if wanted is not None and not wanted and not isinstance(wanted, str):
        raise QMPError("The set of I/O threads must not be empty")
    for object_id in [wanted] if isinstance(wanted, str) else wanted or ():
        found = daemon.objects.get(object_id)
        if found is None or found.qom_type != "iothread":
            raise QMPError(f'iothread "{object_id}" not found', code="not-found", object=object_id)


async def _add_nbd(daemon: Daemon, node: Node, options: dict[str, Any]) -> None:
    server = daemon.nbd.server
    name, description = options.get("name", node.node_name), options.get("description", "")
    _check_length(name, "export name")
    _check_length(description, "description")
    server.check_new_name(name)
    if not isinstance(options.get("iothread", ""), str):
        raise QMPError("NBD export does not support multi-threading", code="not-supported")
    allows_inactive = options.get("allow-inactive", False)
    export = NbdExport(
        options["id"],
        daemon.graph,
        name=name,
        description=description,
        writable=options.get("writable", False),
        writethrough=options.get("writethrough", False),
        allows_inactive=allows_inactive,
        allocation_depth=options.get("allocation-depth", False),
    )
    bitmaps = [_find_bitmap(daemon, node, wanted) for wanted in options.get("bitmaps", ())]
    for bitmap in bitmaps:
        _check_exportable(bitmap, writable=export.writable)
    async with daemon.graph.lock:
        if not node.is_active and not allows_inactive:
            await activation.activate(daemon.graph, node)
        await export.open(node)
    export.add_contexts([BitmapContext(bitmap) for bitmap in bitmaps])
    export.on_end = lambda: server.withdraw(export)
    server.add(export)
    daemon.exports.add(export)


def _check_length(text: str, what: str) -> None:
    if len(text.encode()) > MAX_NAME:
        raise QMPError(f"{what} '{text}' too long")


def _find_bitmap(daemon: Daemon, node: Node, wanted: str | dict[str, str]) -> DirtyBitmap:
    """Return a bitmap of that node, or of one in the chain below."""
    if isinstance(wanted, str):
        name, places = wanted, chain.nodes(node)
    else:
        holder = daemon.graph.get(wanted["node"])
        if holder is None:
            raise QMPError(f"Node '{wanted['node']}' not found", code="not-found", node=wanted["node"])
        name, places = wanted["name"], iter([holder])
    found = (bitmap for place in places for bitmap in place.dirty_bitmaps if bitmap.name == name)
    bitmap = next(found, None)
    if bitmap is None:
        raise QMPError(f"Bitmap '{name}' is not found", code="not-found", bitmap=name)
    return bitmap


def _check_exportable(bitmap: DirtyBitmap, *, writable: bool) -> None:
    if bitmap.is_busy:
        raise QMPError(f"Bitmap '{bitmap.name}' is currently in use by another operation and cannot be used")
    if bitmap.is_inconsistent:
        raise QMPError(f"Bitmap '{bitmap.name}' is inconsistent and cannot be used")
    if bitmap.is_enabled and not writable:
        raise QMPError(f"Enabled bitmap '{bitmap.name}' incompatible with readonly export")


async def block_export_del(daemon: Daemon, *, id: str, mode: str = "safe") -> None:  # noqa: A002 - the wire's name
    """Take an export away."""
    await daemon.exports.remove(daemon.exports.find(id), hard=mode == "hard")


def query_block_exports(daemon: Daemon) -> list[dict[str, Any]]:
    """Show every export."""
    return [export.to_wire() for export in daemon.exports]
