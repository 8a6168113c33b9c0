"""Print a map of a disk: a table of what holds data, or all of it as JSON.

Extents that go on with one another are printed as one.  There may be millions, and some thousand lines are written
at a time.
"""

import sys
from abc import ABC, abstractmethod
from typing import Final

from qmpserver.block import filenames
from qmpserver.block.extents import Extents
from qmpserver.block.node import Node
from qmpserver.cli.command_line import Failure

_WRITTEN_TOGETHER: Final = 4096


class Map(ABC):
    """Prints extents as they are found."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    @abstractmethod
    def add(self, found: Extents) -> None:
        """Print further extents, as far as they cannot go on."""

    @abstractmethod
    def end(self) -> None:
        """Print what is left."""

    def _flush_if_long(self) -> None:
        if len(self._lines) >= _WRITTEN_TOGETHER:
            self.flush()

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

    def add(self, found: Extents) -> None:
        """Print further extents, as far as they cannot go on."""
        layer, following = found.layer, found.offset
        for status in found.statuses:
            start, following = following, following + status.length
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
        self._flush_if_long()

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


_Like = tuple[bool, bool, bool, bool, int, Node | None]
"""What extents have in common that are printed as one: data, zero, present, compressed, depth, and layer."""


class JsonMap(Map):
    """A list of all there is, one object a line."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self._start, self._length = start, 0
        self._host: int | None = None
        self._like: _Like | tuple[()] = ()
        self._tails: dict[_Like, str] = {}
        self._separator = "["

    def add(self, found: Extents) -> None:
        """Print further extents, as far as they cannot go on."""
        begin, statuses, depth, layer = found
        start, length, host, like = self._start, self._length, self._host, self._like
        for status in statuses:
            run, is_data, is_zero, is_allocated, place, is_compressed = status
            kind = (is_data, is_zero, is_allocated, is_compressed, depth, layer)
            if kind == like and place == (None if host is None else host + length):
                length += run
            else:
                if like:
                    self._put(start, length, host, like)
                start, length, host, like = begin, run, place, kind
            begin += run
        self._start, self._length, self._host, self._like = start, length, host, like
        self._flush_if_long()

    def _put(self, start: int, length: int, host: int | None, like: _Like) -> None:
        tail = self._tails.get(like)
        if tail is None:
            tail = self._tails[like] = _tail(like)
        place = "" if host is None else f', "offset": {host}'
        self._lines.append(f'{self._separator}{{ "start": {start}, "length": {length}{tail}{place}}}')
        self._separator = ",\n"

    def end(self) -> None:
        """Print what is left; QEMU: an empty extent when there is none at all."""
        if self._length or not self._like:
            like = self._like or (False, False, False, False, 0, None)
            self._put(self._start, self._length, self._host, like)
        self._lines.append("]\n")
        self.flush()


def _tail(like: _Like) -> str:
    """Return what all extents of one kind have in common."""
    is_data, is_zero, is_allocated, is_compressed, depth, _ = like
    claims = {"present": is_allocated, "zero": is_zero, "data": is_data, "compressed": is_compressed}
    words = "".join(f', "{name}": {"true" if claim else "false"}' for name, claim in claims.items())
    return f', "depth": {depth}{words}'
