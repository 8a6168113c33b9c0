"""The files of one image, whose logs share one clock, and what they hold when the power has gone."""

import random
from collections import Counter
from typing import Any

from qmpserver.driver_api.child import BlockChild
from tests.contract.engine import MemoryFile
from tests.contract.power import after_power_cut


class _OrderedLog(list[tuple[Any, ...]]):
    """A log that also notes, for all files together, whose turn it was."""

    def __init__(self, name: str, order: list[str]) -> None:
        super().__init__()
        self._name = name
        self._order = order

    def append(self, entry: tuple[Any, ...]) -> None:
        super().append(entry)
        self._order.append(self._name)


class ImageFiles:
    """What an image consists of: `file`, and `data-file` if it has one; and the backing file, which rests.

    Args:
        is_external: It has a data file.
        backing: What the backing file holds, if there is one.
    """

    def __init__(self, *, is_external: bool, backing: bytes | None) -> None:
        names = ("file", "data-file") if is_external else ("file",)
        self.files = {name: MemoryFile() for name in names}
        self.backing = None if backing is None else MemoryFile(backing)
        self._order: list[str] = []
        self._start: dict[str, bytes] = {}

    def begin(self, *, yields: bool) -> None:
        """Take what the files hold now as certain, and log everything from now on."""
        for name, file in self.files.items():
            self._start[name] = bytes(file.data)
            file.log = _OrderedLog(name, self._order)
            file.yields = yields

    @property
    def time(self) -> int:
        """How many entries have been logged."""
        return len(self._order)

    @property
    def children(self) -> dict[str, BlockChild]:
        """What a driver finds below: the backing file only if the image names it."""
        is_named = any(self.files["file"].data[8:16])
        backing = {"backing": self.backing} if self.backing is not None and is_named else {}
        return {**self.files, **backing}

    def pick_cut(self, rng: random.Random) -> int:
        """Choose an instant, half the time one just before a flush of the image, when most is at stake."""
        cut = rng.randrange(1, self.time + 1)
        if rng.random() < 0.5:
            return cut
        done = Counter(self._order[:cut])["file"]
        log = self.files["file"].log
        ahead = next((at for at in range(done, len(log)) if log[at][0] == "flush"), None)
        if ahead is None:
            return cut
        passed = -1
        for at, name in enumerate(self._order):
            passed += name == "file"
            if passed == ahead:
                return at
        return cut

    def after_cut(self, cut: int, rng: random.Random) -> "ImageFiles":
        """Return one state that the files may be in when the power goes at that time."""
        done = Counter(self._order[:cut])
        left = ImageFiles(is_external="data-file" in self.files, backing=None)
        left.backing = self.backing
        for name, file in self.files.items():
            left.files[name].data = after_power_cut(self._start[name], file.log, done[name], rng)
        return left
