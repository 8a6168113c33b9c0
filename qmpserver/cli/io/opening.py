"""Open images by their names and options, and close them: ``open`` and ``close``."""

import os
import tempfile
from typing import Any

from qmpserver.block.backend import BlockBackend
from qmpserver.block.node import Node
from qmpserver.cli.img.images import Images, warn_of_probing
from qmpserver.cli.io.command import Command, Complaint, Words, WrongUse
from qmpserver.cli.io.image import OpenImage
from qmpserver.cli.io.option_list import option_list
from qmpserver.cli.io.session import Session
from qmpserver.cli.io.wanted import Wanted, ask_for_aio, options_of
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.errors import QMPError, error_text

_UNDERSTOOD = frozenset(("file", "read-only", "cache", "force-share", "discard"))
"""The options that the tool itself gives, whatever the format is."""

READING = PermissionSet(Permission.CONSISTENT_READ, PERM_ALL)
WRITING = PermissionSet(Permission.CONSISTENT_READ | Permission.WRITE | Permission.RESIZE, PERM_ALL)


async def open_image(images: Images, wanted: Wanted) -> OpenImage:
    """Open an image.

    Raises:
        QMPError: It cannot be opened; nothing remains of the attempt.
    """
    if wanted.copy_on_read and wanted.read_only and not wanted.temporary:
        raise QMPError("Can't use copy-on-read on read-only device")
    engine = images.engine
    async with engine.graph.lock:
        options, is_guessed = await _checked(images, options_of(wanted))
        if wanted.aio is not None:
            ask_for_aio(options, wanted.aio)
        node = await engine.opener.open_unowned(options)
        backend = BlockBackend(engine.graph)
        try:
            if wanted.temporary:
                node = await _over(images, node, wanted)
            if node.read_only and not wanted.read_only:
                raise QMPError("Block node is read-only")
            await backend.insert(node, READING if wanted.read_only else WRITING)
        except BaseException:
            await engine.graph.discard(node)
            raise
    image = OpenImage(backend, wanted.cache.writethrough, wanted.copy_on_read)
    if is_guessed and node.driver.format_name == "raw" and not wanted.read_only:
        warn_of_probing(node)
        image.guess = engine.registry.probe
    return image


async def _checked(images: Images, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Hold options against the schema; return them, and whether the format is a guess."""
    if "driver" in options:
        return images.checked(options), False
    options = images.checked(options)
    if options.keys() <= _UNDERSTOOD and not any(
        _are_strings(options[name]) for name in options.keys() - {"file", "discard"}
    ):
        return options, True
    # What options mean depends on the format, so that has to be found out first.
    shared = {"file": options["file"], "read-only": True, "force-share": True}
    node = await images.engine.opener.open_unowned(shared, with_backing=False)
    image_format = node.driver.format_name
    await images.engine.graph.discard(node)
    return images.checked({**options, "driver": image_format}), True


def _are_strings(value: Any) -> bool:
    """Say whether a value is a string, or has one in it, and so is not understood yet."""
    return any(map(_are_strings, value.values())) if isinstance(value, dict) else isinstance(value, str)


async def _over(images: Images, node: Node, wanted: Wanted) -> Node:
    """Open a temporary overlay over a node."""
    engine = images.engine
    handle, filename = tempfile.mkstemp(prefix="vl.", dir=os.environ.get("TMPDIR", "/var/tmp"))
    os.close(handle)
    try:
        await engine.create_image(filename, "qcow2", {"size": node.size}, is_locked=True)
        options = {
            "driver": "qcow2",
            "file": {"driver": "file", "filename": filename},
            "backing": node.node_name,
            "read-only": wanted.read_only,
            "cache": {"direct": False, "no-flush": True},
            "discard": "unmap" if wanted.discard else "ignore",
        }
        return await engine.opener.open_unowned(options)
    except OSError as error:
        raise QMPError(f"Could not create temporary overlay '{filename}': {error_text(error)}") from error
    finally:
        os.unlink(filename)


async def _open(session: Session, words: Words) -> None:
    wanted = Wanted(
        read_only=words.has("r"),
        temporary=words.has("s"),
        copy_on_read=words.has("C"),
        force_share=words.has("U"),
    )
    aio = "native" if words.has("k") else words.last("i")
    cache = "none" if words.has("n") and not words.has("t") else words.last("t")
    wanted.take_modes({"cache": cache, "discard": words.last("d"), "aio": aio})
    lists = list(words.options.get("o", ()))
    if session.names_are_options:
        lists += words.operands[:1]
    elif words.operands:
        wanted.filename = words.operands[0]
    if len(words.operands) > 1 or not (lists or words.operands):
        raise WrongUse
    wanted.options = option_list(lists, session.reporter)
    await open_in(session, wanted)


async def open_in(session: Session, wanted: Wanted) -> None:
    """Open an image for further commands.

    Raises:
        Complaint: It cannot be opened, or another one is open; what there is to say has been said.
    """
    if session.image is not None:
        raise QMPError("file open already, try 'help close'")
    try:
        session.image = await open_image(session.images, wanted)
    except QMPError as error:
        device = "" if wanted.filename is None else f" device {wanted.filename}"
        session.refuse(error, f"can't open{device}: ")
        raise Complaint from error


async def _close(session: Session, words: Words) -> None:
    del words
    try:
        await session.close()
    except OSError as error:
        raise QMPError(f"could not close: {error_text(error)}") from error


COMMANDS = (
    Command(
        "open",
        _open,
        "opens an image for the commands that follow",
        alias="o",
        arguments="[-rsCnkU] [-t cache] [-d discard] [-o options] [path]",
        letters="rsnCUko:t:d:i:",
        least=1,
        most=None,
        needs_image=False,
        help="""\
 -r            read-only
 -s            keep what is written in a temporary overlay
 -C            store what is read from below
 -U            others may write the image meanwhile
 -n            bypass the host's page cache, as with -t none
 -t CACHE      the cache mode
 -d DISCARD    what discards do: ignore or unmap
 -i AIO        how the host does requests: threads, native or io_uring
 -k            as with -i native
 -o OPTIONS    options of the driver, as key=value,...

 Example: open -n -o driver=raw /tmp/data
""",
    ),
    Command("close", _close, "closes the image", alias="c"),
)
