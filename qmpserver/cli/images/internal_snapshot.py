"""Show an internal snapshot of an image, named as ``-l`` names it."""

import errno

from qmpserver.block.node import Node
from qmpserver.driver_api.extras import SupportsSnapshots
from qmpserver.errors import QMPError, error_text
from qmpserver.options.flat_options import Kind, parse

PREFIX = "snapshot."
"""What a name begins with that says whether it is an id or a name."""

_KEYS = {"snapshot.id": Kind.STRING, "snapshot.name": Kind.STRING}

SnapshotName = tuple[str | None, str | None] | str
"""An id and a name, of which either may be missing; or what may be either."""


def snapshot_name(text: str) -> SnapshotName:
    """Read what ``-l`` names.

    Raises:
        QMPError: It begins like a list of options, and is none.
    """
    if not text.startswith(PREFIX):
        return text
    values = parse(text, _KEYS, None, lambda _what, _instead: None).values
    snapshot_id, name = values.get("snapshot.id"), values.get("snapshot.name")
    return None if snapshot_id is None else str(snapshot_id), None if name is None else str(name)


async def load_snapshot(node: Node, wanted: SnapshotName) -> None:
    """Have a node that is open read-only show a snapshot's state until it is closed.

    Raises:
        QMPError: It has no such snapshot.
    """
    driver = node.driver
    if not isinstance(driver, SupportsSnapshots):
        raise QMPError(
            f"Block format '{driver.format_name}' used by device '' does not support temporarily "
            "loading internal snapshots"
        )
    if isinstance(wanted, str):
        by_id = any(snapshot.snapshot_id == wanted for snapshot in driver.snapshots)
        wanted = (wanted, None) if by_id else (None, wanted)
    try:
        await driver.load_snapshot(*wanted)
    except OSError as error:
        is_unknown = error.errno == errno.ENOENT
        raise QMPError("Can't find snapshot" if is_unknown else error_text(error)) from error
