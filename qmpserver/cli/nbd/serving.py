"""Offer the image: from the first look at the options' objects to the last image closed."""

import asyncio
import os
from dataclasses import dataclass

from qmpserver import heap, log
from qmpserver.block.backend import BlockBackend
from qmpserver.cli.command_line import Given
from qmpserver.cli.event_loop import loop_factory, on_end_signals
from qmpserver.cli.images.images import Images
from qmpserver.cli.images.wanted import Wanted
from qmpserver.cli.nbd.credentials import tls_context
from qmpserver.cli.nbd.forking import Parent
from qmpserver.cli.nbd.labelling import sockets_labelled
from qmpserver.cli.nbd.picture import open_picture, wanted_image
from qmpserver.cli.nbd.values import count_of
from qmpserver.cli.pidfile import PidFile
from qmpserver.errors import QMPError, error_text
from qmpserver.exports.exported_bitmaps import find_bitmaps
from qmpserver.exports.nbd_contexts import BitmapContext
from qmpserver.exports.nbd_export import NbdExport
from qmpserver.exports.nbd_server import DEFAULT_HANDSHAKE_S, NbdServer, NbdServerOptions
from qmpserver.exports.tls import TlsServer
from qmpserver.listening import ListeningSockets
from qmpserver.objects import ObjectStore
from qmpserver.sockets import SocketAddress


def run_server(given: Given, address: SocketAddress, parent: Parent | None) -> int:
    """Serve until the last client has gone, or until told to end; return the exit status.

    Args:
        given: The options.
        address: Where to listen.
        parent: Who waits for us to be ready, if somebody does.

    Raises:
        QMPError: It cannot be done.
        Failure: Likewise.
        Answer: An option asked for a text.
    """
    if given.has("verbose"):
        log.set_level("info")
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_run(given, address, parent))


@dataclass(frozen=True, slots=True)
class _Door:
    """Where clients come in, who waits for it to be open, and what is set when it is to be closed."""

    server: NbdServer
    listening: ListeningSockets
    parent: Parent | None
    stop: asyncio.Event


async def _run(given: Given, address: SocketAddress, parent: Parent | None) -> int:
    stop = asyncio.Event()
    on_end_signals(stop.set)
    async with Images(given) as images:
        options = NbdServerOptions(
            address,
            max_connections=count_of(given, "shared", 1),
            handshake_s=count_of(given, "handshake-limit", DEFAULT_HANDSHAKE_S),
            tls=_tls(given, images.engine.objects),
        )
        server = NbdServer(options, images.engine.clock)
        if not given.has("persistent"):
            server.on_last_gone = stop.set
        with sockets_labelled(given.last("selinux-label")):
            listening = ListeningSockets(address)
        try:
            await _offer(images, given, _Door(server, listening, parent, stop))
        finally:
            listening.close()
    return 0


def _tls(given: Given, objects: ObjectStore) -> TlsServer | None:
    context = tls_context(given, objects, is_server=True)
    if context is None:
        return None
    authorization = given.last("tls-authz")
    return TlsServer(context, None if authorization is None else objects.authorization(authorization).admits)


async def _offer(images: Images, given: Given, door: _Door) -> None:
    """Open the image, let clients in, and wait for the end."""
    graph = images.engine.graph
    wanted = wanted_image(given)
    async with graph.lock:
        backend = await open_picture(images, given, wanted)
    export: NbdExport | None = None
    try:
        export = await _export(images, given, backend, wanted)
        door.server.add(export)
        door.server.open(door.listening)
        _be_ready(given, door.parent)
        await door.stop.wait()
    finally:
        door.server.close()
        if export is not None:
            await export.shut_down()
        async with graph.lock:
            if export is not None:
                await export.close()
            await _close(backend, given)


async def _close(backend: BlockBackend, given: Given) -> None:
    """Close the image.

    QEMU: nobody hears of it when what clients have written cannot be brought to the disk any more.
    """
    try:
        await backend.remove()
    except OSError as error:
        raise QMPError(f"Could not close '{given.operands[0]}': {error_text(error)}") from error


async def _export(images: Images, given: Given, backend: BlockBackend, wanted: Wanted) -> NbdExport:
    graph, node = images.engine.graph, backend.node
    export = NbdExport(
        "qemu-nbd",
        graph,
        name=given.last("export-name") or "",
        description=given.last("description") or "",
        writable=not wanted.read_only,
        writethrough=wanted.cache.writethrough,
        allocation_depth=given.has("allocation-depth"),
    )
    # QEMU: the last one named comes first.
    names = dict.fromkeys(reversed(given.all("bitmap")))
    bitmaps = find_bitmaps(graph, node, names, writable=export.writable)
    async with graph.lock:
        await export.open(node)
    export.add_contexts([BitmapContext(bitmap) for bitmap in bitmaps])
    return export


def _be_ready(given: Given, parent: Parent | None) -> None:
    """Say that clients can come in."""
    path = given.last("pid-file")
    if path is not None:
        # QEMU: the file stays behind.
        PidFile(path)
    os.chdir("/")
    if parent is not None:
        parent.ready()
    heap.settle()
