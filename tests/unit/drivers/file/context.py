"""What a `file` node is told when a test opens it."""

from typing import Any, Protocol

from qmpserver.drivers.file.driver import FileDriver
from tests.unit.drivers.context import NodeContext


class FileContext(NodeContext):
    """The engine as a `file` node sees it.

    Args:
        filename: The image.
        given: Attributes of the context, and for the rest options of the driver, with `_` for `-`.
    """

    def __init__(self, filename: str, **given: Any) -> None:
        attributes = {name: given.pop(name) for name in list(given) if hasattr(NodeContext, name)}
        options = {"filename": filename, **{name.replace("_", "-"): value for name, value in given.items()}}
        super().__init__({}, read_only=options.pop("read-only", False), discard=True, options=options)
        for name, value in attributes.items():
            setattr(self, name, value)


class OpenFile(Protocol):
    """Opens a file as a node: ``await open_file(path, read_only=True, ...)``."""

    async def __call__(self, path: object, **given: Any) -> FileDriver:
        """Open it with attributes and options as :class:`FileContext` takes them."""
