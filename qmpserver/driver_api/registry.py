"""Find the class behind a driver's name, importing it only when it is first needed."""

import importlib
from collections.abc import Iterator, Mapping

from qmpserver.driver_api.driver import BlockDriver
from qmpserver.errors import QMPError

ENTRY_POINT_GROUP = "qmpserver.drivers"
"""Third parties' drivers are found under this group; the entry's name is the driver's."""

CERTAIN = 100
"""What a driver's `probe` says of an image that is its own beyond doubt."""


UNRECOGNISED = "raw"
"""The driver of an image that no driver knows for its own."""


class DriverRegistry:
    """The drivers there are.

    Args:
        targets: For each driver name, ``package.module:ClassName``.
        magics: Those that know their images by what these begin with, each with the bytes without which it
            need not be asked, nor be imported; None to ask all of them.
    """

    def __init__(self, targets: Mapping[str, str], magics: Mapping[str, bytes] | None = None) -> None:
        self._targets = dict(targets)
        self._magics = dict.fromkeys(targets, b"") if magics is None else dict(magics)
        self._classes: dict[str, type[BlockDriver]] = {}

    def add_entry_points(self) -> list[str]:
        """Add what installed packages offer, and return the names that are new.

        A name already known is left as it is.
        """
        from importlib import metadata  # noqa: PLC0415 - 40 ms that start-up does not need

        entries = metadata.entry_points(group=ENTRY_POINT_GROUP)
        new = {entry.name: entry.value for entry in entries if entry.name not in self._targets}
        self._targets |= new
        self._magics |= dict.fromkeys(new, b"")
        return list(new)

    def names(self) -> Iterator[str]:
        """Return every driver name."""
        return iter(self._targets)

    def find(self, name: str) -> type[BlockDriver]:
        """Return the class of the driver called `name`.

        Raises:
            QMPError: There is no such driver.
        """
        found = self._classes.get(name)
        if found is None:
            target = self._targets.get(name)
            if target is None:
                raise QMPError(f"Unknown driver '{name}'")
            module, _, class_name = target.partition(":")
            found = getattr(importlib.import_module(module), class_name)
            self._classes[name] = found
        return found

    def probe(self, head: bytes, filename: str) -> str:
        """Return the format that most surely owns an image beginning with `head`; UNRECOGNISED if none does."""
        best, best_score = UNRECOGNISED, 0
        for name, magic in self._magics.items():
            if not head.startswith(magic):
                continue
            score = self.find(name).probe(head, filename)
            if score > best_score:
                best, best_score = name, score
            if score == CERTAIN:
                # Nobody can be surer, and a driver that is not asked need not be imported.
                break
        return best
