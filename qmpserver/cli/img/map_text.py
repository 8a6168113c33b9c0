"""Print a map of a disk: a table of what holds data, or all of it as JSON.

Extents that go on with one another are printed as one.  There may be millions.
"""

import sys
from abc import ABC, abstractmethod

from qmpserver.block import filenames
from qmpserver.block.extents import Extent
from qmpserver.block.node import Node
from qmpserver.cli.img.command_line import Failure
from qmpserver.driver_api.status import BlockStatus


class Map(ABC):
    """Prints extents as they are found."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    @abstractmethod
    def add(self, found: list[Extent]) -> None:
        """Print further extents, as far as they cannot go on."""

    @abstractmethod
    def end(self) -> None:
        """Print what is left."""

    def flush(self) -> None:
        """Write out what was printed so far."""
        sys.stdout.write("".join(self._lines))
        self._lines.clear()


class HumanMap(Map):
    """A table of what holds data."""

    def __init__(self) -> None:
        super().__init__()
        self._start = self._length = self._host = 0
        self._file: str | None = None
        self._files: dict[Node, str] = {}
        self._lines.append(f"{'Offset':16}{'Length':16}{'Mapped to':16}File\n")

    def add(self, found: list[Extent]) -> None:
        """Print further extents, as far as they cannot go on."""
        for start, status, _, layer in found:
            if not status.is_data or status.is_zero:
                self._print()
                continue
            host = status.host_offset
            if host is None:
                self._print()
                self.flush()
                raise Failure("File contains external, encrypted or compressed clusters.")
            if layer not in self._files:
                self._files[layer] = _file_of(layer)
            file = self._files[layer]
            end = (self._start + self._length, self._host + self._length, self._file)
            if self._length and (start, host, file) == end:
                self._length += status.length
            else:
                self._print()
                self._start, self._length, self._host, self._file = start, status.length, host, file
        self.flush()

    def _print(self) -> None:
        if self._length:
            numbers = (self._start, self._length, self._host)
            # QEMU: C's way leaves zero without 0x.
            columns = "".join(f"{number:<#16x}" if number else f"{0:<16}" for number in numbers)
            self._lines.append(f"{columns}{self._file}\n")
        self._length = 0

    def end(self) -> None:
        """Print what is left."""
        self._print()
        self.flush()


def _file_of(layer: Node) -> str:
    """Return the name of the file that a layer's host offsets are in."""
    node = layer
    while not node.driver.is_protocol:
        edge = node.children.get("data-file") or node.children["file"]
        follows = node.mapping is not None and node.mapping.status_follows_child
        if not follows:
            return filenames.filename_of(edge.node)
        node = edge.node
    return filenames.filename_of(node)


class JsonMap(Map):
    """A list of all there is, one object a line."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self._start, self._length = start, 0
        self._host: int | None = None
        self._like: tuple[object, ...] = ()
        self._middles: dict[tuple[object, ...], str] = {}
        self._separator = "["

    def add(self, found: list[Extent]) -> None:
        """Print further extents, as far as they cannot go on."""
        for start, status, depth, layer in found:
            run, is_data, is_zero, is_allocated, host, is_compressed = status
            like = (depth, layer, is_data, is_zero, is_allocated, is_compressed)
            if like == self._like:
                expected = None if self._host is None else self._host + self._length
                if host == expected:
                    self._length += run
                    continue
            elif like not in self._middles:
                self._middles[like] = _middle(depth, status)
            self._print()
            self._start, self._length, self._host, self._like = start, run, host, like
        self.flush()

    def _print(self) -> None:
        if not self._length:
            return
        place = "" if self._host is None else f', "offset": {self._host}'
        self._lines.append(
            f'{self._separator}{{ "start": {self._start}, "length": {self._length}'
            f"{self._middles[self._like]}{place}}}"
        )
        self._separator = ",\n"

    def end(self) -> None:
        """Print what is left."""
        if not self._like:
            # QEMU: it prints its empty extent when there is none.
            self._lines.append(f'[{{ "start": {self._start}, "length": 0')
            self._lines.append(_middle(0, BlockStatus(0, is_data=False, is_zero=False, is_allocated=False)) + "}")
        self._print()
        self._lines.append("]\n")
        self.flush()


def _middle(depth: int, status: BlockStatus) -> str:
    """Return what all extents of one kind have in common."""
    claims = {
        "present": status.is_allocated,
        "zero": status.is_zero,
        "data": status.is_data,
        "compressed": status.is_compressed,
    }
    words = "".join(f', "{name}": {"true" if claim else "false"}' for name, claim in claims.items())
    return f', "depth": {depth}{words}'
