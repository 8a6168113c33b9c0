"""Put a temporary overlay over an image, so that what is written to it is lost at the end."""

import os
import tempfile

from qmpserver.block.node import Node
from qmpserver.engine import Engine
from qmpserver.errors import QMPError, error_text


async def open_over(engine: Engine, base: Node, *, read_only: bool, discard: str) -> Node:
    """Open a new overlay over `base`, in a file that has no name any more.

    Args:
        engine: What makes and opens it.  The graph is locked.
        base: What lies below; of nobody's before, and closed when this fails.
        read_only: Nothing is written to the overlay either.
        discard: Whether it takes discards: ``ignore`` or ``unmap``.

    Raises:
        QMPError: It cannot be made; nothing remains of the attempt.
    """
    try:
        filename = _new_file()
        try:
            return await _make(engine, filename, base, {"read-only": read_only, "discard": discard})
        finally:
            os.unlink(filename)
    except BaseException:
        await engine.graph.discard(base)
        raise


def _new_file() -> str:
    """Make an empty file where QEMU puts it."""
    try:
        descriptor, filename = tempfile.mkstemp(prefix="vl.", dir=os.environ.get("TMPDIR") or "/var/tmp")
    except OSError as error:
        raise QMPError(f"Could not open temporary file '{error.filename}': {error_text(error)}") from error
    os.close(descriptor)
    return filename


async def _make(engine: Engine, filename: str, base: Node, options: dict[str, object]) -> Node:
    try:
        await engine.create_image(filename, "qcow2", {"size": base.size}, is_locked=True)
    except OSError as error:
        raise QMPError(f"Could not create temporary overlay '{filename}': {error_text(error)}") from error
    return await engine.opener.open_unowned(
        {
            "driver": "qcow2",
            "cache": {"no-flush": True},
            "file": {"driver": "file", "filename": filename},
            "backing": base.node_name,
            **options,
        }
    )
