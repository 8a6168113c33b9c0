"""Describe the open image: ``info``."""

from qmpserver.block.format_specific import specific_lines
from qmpserver.block.node import Node
from qmpserver.driver_api.extras import SupportsVmState
from qmpserver.io_commands.command import Command, Complaint, Words
from qmpserver.io_commands.image import below
from qmpserver.io_commands.numbers import size_text
from qmpserver.io_commands.session import Session

_SILENT = ("null-co", "null-aio", "nbd", "quorum")
"""The drivers that tell nothing of themselves, nor does what lies below them."""

_NAMED_TWICE = ("blkdebug", "blkverify")
"""The filters that can be named like a protocol; of all these QEMU prints both of their names."""


async def _info(session: Session, words: Words) -> None:
    del words
    node = session.opened.node
    name = node.driver.format_name
    session.say(f"format name: {name}")
    if node.driver.is_protocol or name in _NAMED_TWICE:
        session.say(f"format name: {name}")
    told = _told(node)
    if told is None:
        raise Complaint
    cluster_size, vm_state_offset = told
    session.say(f"cluster size: {size_text(cluster_size)}")
    session.say(f"vm state offset: {size_text(vm_state_offset)}")
    specific = node.driver.image_info().get("format-specific", {}).get("data")
    if specific:
        session.say("\n".join(specific_lines(specific)))


def _told(top: Node) -> tuple[int, int] | None:
    """Return the cluster size and where machine state begins, or None when nobody says."""
    node: Node | None = top
    while node is not None and node.driver.format_name not in _SILENT:
        if node.driver.is_protocol:
            return 0, 0
        if isinstance(node.driver, SupportsVmState):
            return node.driver.image_info().get("cluster-size", 0), node.driver.vm_state_offset
        node = below(node)
    return None


COMMANDS = (Command("info", _info, "describes the image", alias="i"),)
