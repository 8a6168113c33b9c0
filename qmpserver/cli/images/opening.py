"""Open what is wanted, as the tools that work on one image open it."""

from typing import Any

from qmpserver.block.backend import BlockBackend
from qmpserver.cli.images.images import Images
from qmpserver.cli.images.wanted import Wanted, options_of
from qmpserver.cli.probing import warn_of_probing
from qmpserver.driver_api.permissions import PermissionSet
from qmpserver.errors import QMPError
from qmpserver.machine.media.temporary_overlay import open_over
from qmpserver.options.host_modes import ask_for_aio

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
    if wanted.temporary:
        discard = "unmap" if wanted.discard else "ignore"
        node = await open_over(engine, node, read_only=wanted.read_only, discard=discard)
    backend = BlockBackend(engine.graph)
    try:
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
