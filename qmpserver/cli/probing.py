"""Say that a format was guessed."""

import sys

from qmpserver.block import filenames
from qmpserver.block.node import Node


def warn_of_probing(node: Node) -> None:
    """Say on standard error that a writable image was guessed to be raw, if it was."""
    if node.driver.format_name == "raw":
        filename = filenames.filename_of(node.children["file"].node)
        print(
            f"WARNING: Image format was not specified for '{filename}' and probing guessed raw.\n"
            "         Automatically detecting the format is dangerous for raw images, write operations on "
            "block 0 will be restricted.\n"
            "         Specify the 'raw' format explicitly to remove the restrictions.",
            file=sys.stderr,
        )
