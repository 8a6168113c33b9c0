"""Put a temporary overlay over an image, so that what is written to it is lost at the end."""

import os
import tempfile

from qmpserver.block.node import Node
from qmpserver.engine import Engine
from qmpserver.errors import QMPError, error_text


async def open_over(engine: Engine, base: Node, *, read_only: bool) -> Node:
    """Open a new overlay over `base`, in a file that has no name any more.

    Args:
        engine: What makes and opens it.  The graph is locked.
        base: What lies below; of nobody's before, and closed when this fails.
        read_only: Nothing is written to the overlay either.

    Raises:
        QMPError: It cannot be made; nothing remains of the attempt.
    """
    folder = os.environ.get("TMPDIR") or "/var/tmp"  # where QEMU puts it
    filename: str | None = None
    try:
        descriptor, filename = tempfile.mkstemp(prefix="vl.", dir=folder)
        os.close(descriptor)
        await engine.create_image(filename, "qcow2", {"size": base.size}, is_locked=True)
        return await engine.opener.open_unowned(
            {
                "driver": "qcow2",
                "read-only": read_only,
                "cache": {"no-flush": True},
                "file": {"driver": "file", "filename": filename},
                "backing": base.node_name,
            }
        )
    except BaseException as error:
        await engine.graph.discard(base)
        if isinstance(error, OSError):
            raise QMPError(
                f"Could not create temporary overlay in '{folder}': {error_text(error)}"
            ) from error
        raise
    finally:
        if filename is not None:
            os.unlink(filename)
