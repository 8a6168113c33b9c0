"""Open what is wanted, as the tools that work on one image open it."""

import os
import tempfile
from typing import Any

from qmpserver.block.backend import BlockBackend
from qmpserver.block.node import Node
from qmpserver.cli.images.images import Images
from qmpserver.cli.images.wanted import Wanted, ask_for_aio, options_of
from qmpserver.cli.probing import warn_of_probing
from qmpserver.driver_api.permissions import PermissionSet
from qmpserver.errors import QMPError, error_text

_UNDERSTOOD = frozenset(("file", "read-only", "cache", "force-share", "discard"))
"""The options that a tool itself gives, whatever the format is."""


async def open_wanted(images: Images, wanted: Wanted, held: PermissionSet) -> BlockBackend:
    """Open an image, and warn when it will be written and its format is only a guess.

    Args:
        images: What opens it.  The graph is locked.
        wanted: Which, and how.
        held: What the tool will do with it.

    Raises:
        QMPError: It cannot be opened; nothing remains of the attempt.
    """
    engine = images.engine
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
        await backend.insert(node, held)
    except BaseException:
        await engine.graph.discard(node)
        raise
    if is_guessed and not wanted.read_only:
        warn_of_probing(node)
    return backend


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
