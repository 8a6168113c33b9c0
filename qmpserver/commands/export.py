"""Offer nodes to others."""

from collections.abc import Sequence
from typing import Any

from qmpserver import threads
from qmpserver.block import activation
from qmpserver.block.node import Node
from qmpserver.chardevs.store import socket_address
from qmpserver.daemon import Daemon
from qmpserver.errors import QMPError
from qmpserver.exports.export import BlockExport
from qmpserver.exports.exported_bitmaps import find_bitmaps
from qmpserver.exports.fuse_export import AllowOther, FuseExport, FuseOptions, check_mountpoint
from qmpserver.exports.nbd_contexts import BitmapContext
from qmpserver.exports.nbd_export import NbdExport
from qmpserver.exports.nbd_server import DEFAULT_HANDSHAKE_S, DEFAULT_MAX_CONNECTIONS, NbdServerOptions
from qmpserver.exports.store import PATIENCE_S
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
    await daemon.exports.remove_all(NbdExport, patience_s=PATIENCE_S)


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
    match options["type"]:
        case "nbd":
            await _add_nbd(daemon, node, options)
        case "fuse":
            await _add_fuse(daemon, node, options)
        case kind:
            raise QMPError(f"Exports of type '{kind}' are not supported", code="not-supported")


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
    bitmaps = find_bitmaps(daemon.graph, node, options.get("bitmaps", ()), writable=export.writable)
    await _open(daemon, export, node, allows_inactive=allows_inactive)
    export.add_contexts([BitmapContext(bitmap) for bitmap in bitmaps])
    export.on_end = lambda: server.withdraw(export)
    server.add(export)
    daemon.exports.add(export)


async def _open(daemon: Daemon, export: BlockExport, node: Node, *, allows_inactive: bool) -> None:
    async with daemon.graph.lock:
        if not node.is_active and not allows_inactive:
            await activation.activate(daemon.graph, node)
        await export.open(node)


async def _add_fuse(daemon: Daemon, node: Node, options: dict[str, Any]) -> None:
    taken = [export.options.mountpoint for export in daemon.exports if isinstance(export, FuseExport)]
    allows_inactive = options.get("allow-inactive", False)
    wanted = FuseOptions(
        # It may lie on what this very server shows: nobody would answer if it were looked at here.
        await threads.run(check_mountpoint, options["mountpoint"], taken),
        writable=options.get("writable", False),
        growable=options.get("growable", False),
        allow_other=AllowOther(options.get("allow-other", "auto")),
        writethrough=options.get("writethrough", False),
        allows_inactive=allows_inactive,
    )
    export = FuseExport(options["id"], daemon.graph, daemon.clock, wanted)
    await _open(daemon, export, node, allows_inactive=allows_inactive)
    try:
        await export.mount()
        # Mounting takes a while, in which others may have been faster.
        daemon.exports.check_new_id(export.export_id)
    except BaseException:
        await export.shut_down()
        async with daemon.graph.lock:
            await export.close()
        raise
    export.on_unmounted = lambda: daemon.exports.end_soon(export)
    daemon.exports.add(export)


def _check_length(text: str, what: str) -> None:
    if len(text.encode()) > MAX_NAME:
        raise QMPError(f"{what} '{text}' too long")


async def block_export_del(daemon: Daemon, *, id: str, mode: str = "safe") -> None:  # noqa: A002 - the wire's name
    """Take an export away."""
    await daemon.exports.remove(daemon.exports.find(id), hard=mode == "hard")


def query_block_exports(daemon: Daemon) -> list[dict[str, Any]]:
    """Show every export."""
    return [export.to_wire() for export in daemon.exports]
