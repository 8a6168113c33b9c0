"""What the image tool does to images while the power is cut: chains, the words of the tool, and damage to repair."""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from qmpserver.units import KiB
from tests.unit.cli.img.disks import fill, img, make

Damage = Callable[[Path, random.Random], None]

TOP = "TOP"
"""Stands among a tool's words for the image that it works on."""

_TABLE_FIELD = 48
"""Where a header says where the refcount table is; qcow2 specification, "Header"."""


@dataclass(frozen=True, slots=True)
class Layer:
    """An image of a chain.

    Attributes:
        name: Its file; how the layers above name it.
        units: Its size in units of 64 KiB.
        backing: The layer below it.
        options: How it is created.
    """

    name: str
    units: int
    backing: str | None = None
    options: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """A tool, and the images that it works on.

    Attributes:
        words: The subcommand and its words, with `TOP` for the image.
        layers: The images, each after those below it; the tool's own is the last.
        steps: Other subcommands before, each followed by writes.
        damage: Spoils it before.
    """

    words: tuple[str, ...]
    layers: tuple[Layer, ...]
    steps: tuple[tuple[str, ...], ...] = ()
    damage: Damage | None = None

    def build(self, folder: Path, rng: random.Random) -> Path:
        """Make the images, and return the one that the tool is about."""
        folder.mkdir(parents=True)
        for layer in self.layers:
            below = None if layer.backing is None else Path(layer.backing)
            path = make(folder / layer.name, layer.units, backing=below, options=layer.options)
            fill(path, layer.units, rng)
        for step in self.steps:
            assert img(*(path if word == TOP else word for word in step)) == 0
            fill(path, self.layers[-1].units, rng)
        if self.damage is not None:
            self.damage(path, rng)
        return path


def miscount(path: Path, rng: random.Random) -> None:
    """Count a third of an image's clusters of 4 KiB wrongly: as free, or as used more than once."""
    with path.open("r+b") as file:
        block, clusters = _first_block(file), path.stat().st_size // (4 * KiB)
        for cluster in rng.sample(range(4, clusters), clusters // 3):
            file.seek(block + cluster * 2)
            file.write(rng.choice((b"\0\0", b"\0\2")))


def lose_counts(path: Path, _rng: random.Random) -> None:
    """Let an image's table of reference counts name no block: all must be counted anew."""
    with path.open("r+b") as file:
        file.seek(_TABLE_FIELD)
        (table,) = struct.unpack(">Q", file.read(8))
        file.seek(table)
        file.write(bytes(8))


def _first_block(file: BinaryIO) -> int:
    file.seek(_TABLE_FIELD)
    (table,) = struct.unpack(">Q", file.read(8))
    file.seek(table)
    (block,) = struct.unpack(">Q", file.read(8))
    return int(block)


_SMALL, _SUBCLUSTERS, _LAZY = "cluster_size=4k", "extended_l2=on,cluster_size=128k", "lazy_refcounts=on"
_LONG, _LONGER = "b" * 180, "n" * 200
"""Names that do not fit into the header's first sector."""


def _over(options: str = "") -> tuple[Layer, ...]:
    return Layer("base", 12), Layer("new", 16), Layer("top", 14, "base", options)


_NEW = ("-b", "new", "-F", "qcow2", TOP)
_TAKEN = (("snapshot", "-c", "one", TOP),)

SCENES = {
    "rebase to none": Scene(("rebase", "-b", "", TOP), _over(_SMALL)),
    "rebase": Scene(("rebase", *_NEW), _over()),
    "rebase subclusters": Scene(("rebase", *_NEW), _over(_SUBCLUSTERS)),
    "rebase compressed": Scene(("rebase", "-c", *_NEW), _over(_SMALL)),
    "rebase to a long name": Scene(
        ("rebase", "-b", _LONGER, "-F", "qcow2", TOP),
        (Layer(_LONG, 12), Layer(_LONGER, 16), Layer("top", 14, _LONG, _SMALL)),
    ),
    "rebase within the chain": Scene(
        ("rebase", "-b", "base", "-F", "qcow2", TOP),
        (Layer("base", 16), Layer("middle", 8, "base"), Layer("top", 12, "middle", _SUBCLUSTERS)),
    ),
    "commit": Scene(("commit", "-q", TOP), _over(_SMALL)),
    "commit subclusters": Scene(("commit", "-q", TOP), _over(_SUBCLUSTERS)),
    "commit lazily": Scene(("commit", "-q", TOP), _over(_LAZY)),
    "commit and keep": Scene(("commit", "-q", "-d", TOP), _over(_SMALL)),
    "commit to one that grows over a longer one": Scene(
        ("commit", "-q", TOP),
        (Layer("bottom", 16), Layer("base", 5, "bottom", _SUBCLUSTERS), Layer("top", 12, "base", _SMALL)),
    ),
    "commit past the middle": Scene(
        ("commit", "-q", "-b", "base", TOP),
        (Layer("base", 9), Layer("middle", 5, "base", _SMALL), Layer("top", 12, "middle", _SMALL)),
    ),
    "amend to version 2": Scene(("amend", "-o", "compat=v2", TOP), _over(_SMALL)),
    "amend the counts' width": Scene(("amend", "-o", "refcount_bits=64", TOP), _over(_SMALL)),
    "take a snapshot": Scene(("snapshot", "-c", "two", TOP), _over(_SMALL), _TAKEN),
    "apply a snapshot": Scene(("snapshot", "-a", "one", TOP), _over(_SMALL), _TAKEN),
    "delete a snapshot": Scene(("snapshot", "-d", "one", TOP), _over(_SMALL), _TAKEN),
    "grow over a longer one": Scene(
        ("resize", "-q", TOP, "+300k"), (Layer("base", 16), Layer("top", 9, "base", _SMALL))
    ),
    "grow with all tables": Scene(
        ("resize", "-q", "--preallocation=metadata", TOP, "+300k"), (Layer("top", 9, None, _SMALL),)
    ),
    "shrink": Scene(("resize", "-q", "--shrink", TOP, "-300k"), _over(_SMALL)),
    "repair wrong counts": Scene(("check", "-q", "-r", "all", TOP), _over(_SMALL), damage=miscount),
    "repair lost counts": Scene(("check", "-q", "-r", "all", TOP), _over(_SMALL), damage=lose_counts),
}
"""What the tools do to images, by what that is."""
