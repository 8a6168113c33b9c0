"""Look for the drive of the host that a node's bytes come from, and move its tray.

QEMU: `raw` hands these requests on to what lies below; other formats and filters do not.
"""

from qmpserver.block.node import Node
from qmpserver.driver_api.device_requests import SupportsMedium


def is_inserted(node: Node) -> bool:
    """Say whether the medium is there that the node's own bytes lie on.  What a backing file lies on is not asked."""
    while not node.driver.has_drive:
        edge = node.children.get(node.driver.filtered_child)
        if edge is None:
            return True
        node = edge.node
    return not isinstance(node.driver, SupportsMedium) or node.driver.find_medium()


def move_tray(node: Node, *, is_open: bool) -> None:
    """Open or close the tray of the host's drive, where there is one."""
    if (medium := _below_raw(node)) is not None:
        medium.move_tray(is_open=is_open)


def lock_medium(node: Node, *, is_locked: bool) -> None:
    """Lock or free the tray of the host's drive, where there is one."""
    if (medium := _below_raw(node)) is not None:
        medium.lock_medium(is_locked=is_locked)


def _below_raw(node: Node) -> SupportsMedium | None:
    while node.driver.is_transparent:
        node = node.children["file"].node
    return node.driver if isinstance(node.driver, SupportsMedium) else None
