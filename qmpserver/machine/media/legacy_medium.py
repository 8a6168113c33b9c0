"""Open what ``-drive`` puts into a drive."""

from typing import Any

from qmpserver.block import filenames
from qmpserver.block.node import Node
from qmpserver.engine import Engine
from qmpserver.errors import QMPError
from qmpserver.machine.media import image_file, temporary_overlay
from qmpserver.machine.media.legacy_options import DriveOptions
from qmpserver.options.host_modes import ask_for_aio
from qmpserver.options.option_list import nested
from qmpserver.options.protocols import name_protocols

_PLACEHOLDER = "off"
"""What a node is opened with that is to unmap zeroes; QEMU takes that here though discards are not passed on."""


async def open_medium(engine: Engine, options: DriveOptions, *, active: bool = True) -> Node | None:
    """Open the medium, for the caller to become its user.

    Args:
        engine: What opens it.  The graph is locked.
        options: What was said.
        active: It may be used at once; else another process uses it still.

    Returns:
        The node, or None when there is to be none.

    Raises:
        QMPError: It cannot be opened; nothing remains of the attempt.
    """
    if not options.filename and not options.node and options.image_format is None:
        return None
    read_only = options.read_only or options.snapshot
    wanted = node_options(engine, options) | {"read-only": read_only, "active": active}
    node = await image_file.open_checked(engine, wanted)
    if options.snapshot:
        node = await temporary_overlay.open_over(
            engine, node, read_only=options.read_only, discard=options.discard or "ignore"
        )
    node.flags.detect_zeroes = options.detect_zeroes
    return node


def node_options(engine: Engine, options: DriveOptions) -> dict[str, Any]:
    """Return the medium's options as ``blockdev-add`` takes them, yet unchecked.

    Raises:
        QMPError: They contradict each other.
    """
    wanted = _named(engine, options, nested(options.node))
    wanted["cache"] = {"direct": options.direct, "no-flush": options.no_flush} | wanted.get("cache", {})
    wanted["detect-zeroes"] = _PLACEHOLDER if options.detect_zeroes == "unmap" else options.detect_zeroes
    if options.discard is not None:
        wanted["discard"] = options.discard
    if options.aio is not None:
        ask_for_aio(wanted, options.aio)
    return wanted


def _named(engine: Engine, options: DriveOptions, own: dict[str, Any]) -> dict[str, Any]:
    """Join what the file's name says with the options beside it."""
    driver = options.image_format
    if driver is not None:
        image_file.check_known(engine, driver)
    if not options.filename:
        if driver is None and "file" not in own:
            raise QMPError("Must specify either driver or file")
        name_protocols(own)
        return own if driver is None else {"driver": driver, **own}
    named = filenames.filename_options(options.filename, driver)
    file = own.pop("file", {})
    below = named.get("file")
    if driver is None and below is None and "driver" not in named:
        raise QMPError("Must specify either driver or file")
    if not isinstance(file, dict) or "filename" in file:
        raise QMPError("Can't specify 'file' and 'filename' options at the same time")
    if isinstance(below, dict) and below.get("driver") == driver:
        # The format asked for is the protocol itself.
        named = {**below, **file}
    elif isinstance(below, dict):
        named["file"] = {**below, **file}
    name_protocols(own)
    return {**named, **own}
