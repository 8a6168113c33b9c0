"""Say which ways there are for the host to do requests and discards."""

from typing import Any

AIO_MODES = ("threads", "native", "io_uring")

DISCARD_MODES = {"ignore": "ignore", "off": "ignore", "unmap": "unmap", "on": "unmap"}
"""What the names of ways to discard mean."""


def ask_for_aio(options: dict[str, Any], aio: str) -> None:
    """Ask the file that an image is stored in for a way of doing requests, unless its own options name one.

    Args:
        options: The image's, nested, which are added to.
        aio: One of `AIO_MODES`.
    """
    node = options
    while isinstance(below := node.get("file", node.get("image")), dict):
        node = below
    if node.get("driver") == "file":
        node.setdefault("aio", aio)
