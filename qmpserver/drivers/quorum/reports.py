"""Tell clients of children that fail, are outvoted, or cannot agree."""

from collections.abc import Callable
from typing import Any

from qmpserver.driver_api.child import BlockChild
from qmpserver.errors import error_text
from qmpserver.units import SECTOR_SIZE, align_up

Emit = Callable[[str, dict[str, Any]], None]


class Reports:
    """The events of one quorum node.

    Args:
        node_name: The node's name.
        emit: Tells clients.
    """

    def __init__(self, node_name: str, emit: Emit) -> None:
        self._node_name = node_name
        self._emit = emit

    def bad(self, kind: str, child: BlockChild, offset: int, length: int, error: OSError | None) -> None:
        """Tell that a child failed, or, without an error, that it was outvoted.

        Args:
            kind: `read`, `write` or `flush`.
            child: The child.
            offset: First byte concerned.
            length: Bytes concerned.
            error: Why it failed.
        """
        data: dict[str, Any] = {"type": kind, "node-name": child.node_name, **_sectors(offset, length)}
        if error is not None:
            data["error"] = error_text(error)
        self._emit("QUORUM_REPORT_BAD", data)

    def failure(self, offset: int, length: int) -> None:
        """Tell that too few children agree."""
        self._emit("QUORUM_FAILURE", {"reference": self._node_name, **_sectors(offset, length)})


def _sectors(offset: int, length: int) -> dict[str, int]:
    start = offset // SECTOR_SIZE
    return {
        "sector-num": start,
        "sectors-count": align_up(offset + length, SECTOR_SIZE) // SECTOR_SIZE - start,
    }
