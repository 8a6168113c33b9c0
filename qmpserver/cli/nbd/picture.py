"""Open the image as it is to be offered."""

from qmpserver.block.backend import BlockBackend
from qmpserver.cli.command_line import Given
from qmpserver.cli.images.images import Images
from qmpserver.cli.images.internal_snapshot import load_snapshot, snapshot_name
from qmpserver.cli.images.opening import open_wanted
from qmpserver.cli.images.wanted import Wanted
from qmpserver.cli.nbd.values import offset_of
from qmpserver.driver_api.permissions import READING, WRITING
from qmpserver.errors import QMPError
from qmpserver.options.option_list import option_list


def wanted_image(given: Given) -> Wanted:
    """Return which image is to be opened, and how.

    Raises:
        QMPError: The options of the image cannot be understood.
    """
    name = given.operands[0]
    wanted = Wanted(
        read_only=given.has("read-only") or given.has("load-snapshot"),
        temporary=given.has("snapshot"),
        discard=False,
    )
    cache = "none" if given.has("nocache") else given.last("cache")
    wanted.take_modes({"cache": cache, "discard": given.last("discard"), "aio": given.last("aio")})
    if not given.has("image-opts"):
        wanted.filename = name
    elif given.has("format"):
        raise QMPError("--image-opts and -f are mutually exclusive")
    else:
        wanted.options = option_list([name], given.tool.reporter.deprecation, implied_key="file")
    if (image_format := given.last("format")) is not None:
        wanted.options["driver"] = image_format
    return wanted


async def open_picture(images: Images, given: Given, wanted: Wanted) -> BlockBackend:
    """Open the image, and above it what makes it what is offered.  The graph is locked.

    Raises:
        QMPError: It cannot be opened; nothing remains of the attempt.
    """
    held = READING if wanted.read_only else WRITING
    try:
        backend = await open_wanted(images, wanted, held)
    except QMPError as error:
        raise error.within(f"Failed to blk_new_open '{given.operands[0]}': ") from error
    try:
        if (offset := offset_of(given)) != 0:
            await _leave_out(images, backend, offset, wanted)
        if (snapshot := given.last("load-snapshot")) is not None:
            await _load(backend, snapshot)
    except BaseException:
        await backend.remove()
        raise
    backend.node.flags.detect_zeroes = given.last("detect-zeroes") or "off"
    return backend


async def _leave_out(images: Images, backend: BlockBackend, offset: int, wanted: Wanted) -> None:
    """Have the backend lead to what lies behind the first `offset` bytes."""
    options = {
        "driver": "raw",
        "file": backend.node.node_name,
        "offset": offset,
        "read-only": wanted.read_only,
        "discard": "unmap" if wanted.discard else "ignore",
    }
    window = await images.engine.opener.open_unowned(options)
    await backend.remove()
    await backend.insert(window, READING if wanted.read_only else WRITING)


async def _load(backend: BlockBackend, snapshot: str) -> None:
    try:
        await load_snapshot(backend.node, snapshot_name(snapshot))
    except QMPError as error:
        raise error.within("Failed to load snapshot: ") from error
