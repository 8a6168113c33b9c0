"""Show an internal snapshot of an image in place of its present state, as ``-l`` asks."""

from qmpserver.cli.command_line import Failure, Given
from qmpserver.cli.images import internal_snapshot
from qmpserver.cli.images.images import Image
from qmpserver.errors import QMPError


def wanted_snapshot(given: Given) -> str | None:
    """Return the text that says which snapshot, or None; refuse a text that names no snapshot in a way there is.

    Raises:
        Failure: With QEMU's text.
    """
    wanted = given.last("snapshot")
    if wanted is None:
        return None
    try:
        internal_snapshot.snapshot_name(wanted)
    except QMPError as error:
        below = f"{given.tool.name}: Failed in parsing snapshot param '{wanted}'"
        raise Failure(error.description, below=below) from error
    return wanted


async def load_snapshot(wanted: str | None, images: list[Image]) -> None:
    """Load the snapshot that a text means: an id, or a name, or ``snapshot.id=...,snapshot.name=...``.

    Raises:
        Failure: There is none such, or there are several images.
    """
    if wanted is None:
        return
    if len(images) > 1:
        raise Failure("No support for concatenating multiple snapshot")
    try:
        await internal_snapshot.load_snapshot(images[0].node, internal_snapshot.snapshot_name(wanted))
    except QMPError as error:
        raise Failure(f"Failed to load snapshot: {error.description}") from error
