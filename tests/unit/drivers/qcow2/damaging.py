"""Images with some of everything in them, and random damage to their tables."""

import random
import struct
from pathlib import Path

from tests.images import make_qcow2, qemu_img, qemu_io

COPIED = 1 << 63
OFFSET_MASK = 0x00FF_FFFF_FFFF_FE00

KINDS: list[dict[str, str | int]] = [
    {"cluster_size": 65536},
    {"cluster_size": 4096},
    {"cluster_size": 4096, "compat": "0.10"},
    {"cluster_size": 512},
    {"cluster_size": 1024, "refcount_bits": 1},
    {"cluster_size": 4096, "refcount_bits": 4},
    {"cluster_size": 1024, "refcount_bits": 64},
    {"cluster_size": 512, "compat": "0.10"},
    {"cluster_size": 16384, "extended_l2": "on"},
]


def make_sample(path: Path, options: dict[str, str | int]) -> Path:
    """Make an image of 1 MiB with data, zeroes, compressed clusters, and snapshots where they can be."""
    make_qcow2(path, "1M", **options)
    compressed = max(int(options["cluster_size"]), 1024)
    commands = ["write -P 1 0 256k", "write -P 2 700k 64k", "discard 64k 64k"]
    if options.get("compat") != "0.10":
        commands += ["write -z 128k 64k", "write -z -u 400k 64k"]
    qemu_io(path, *commands, f"write -c -P 5 512k {compressed}")
    if options.get("refcount_bits") != 1 and options["cluster_size"] != 65536:
        for number in (100, 110):
            qemu_img("snapshot", "-c", f"before {number}", path)
            qemu_io(path, f"write -P 9 {number}k 50k")
    return path


class Damage:
    """Changes to a copy of an image.

    Args:
        data: The image.
        rng: Decides what is changed.
    """

    def __init__(self, data: bytes, rng: random.Random) -> None:
        self.data = bytearray(data)
        self._rng = rng
        self._cluster_size = 1 << struct.unpack_from(">I", data, 20)[0]
        self._l1, self._reftable = self._word(40), self._word(48)
        self._l1_entries = struct.unpack_from(">I", data, 36)[0]
        self._tables = [
            offset
            for index in range(self._l1_entries)
            if (offset := self._word(self._l1 + 8 * index) & OFFSET_MASK)
        ]
        self._refblock = self._word(self._reftable)

    def _word(self, offset: int) -> int:
        return int(struct.unpack_from(">Q", self.data, offset)[0])

    def _put(self, offset: int) -> None:
        if offset + 8 > len(self.data):
            return
        rng, old, size = self._rng, self._word(offset), self._cluster_size
        clusters = len(self.data) // size
        value = rng.choice(
            (
                0,
                old ^ COPIED,
                old ^ (1 << rng.randrange(64)),
                COPIED | rng.randrange(clusters + 2) * size,
                rng.randrange(clusters + 2) * size,
                (old + 512) % (1 << 64),
                old | 1,
                (clusters + rng.randrange(3)) * size,
                rng.getrandbits(64),
            )
        )
        struct.pack_into(">Q", self.data, offset, value)

    def counts(self, times: int) -> bytearray:
        """Change stored reference counts."""
        for _ in range(times):
            place = self._rng.randrange(min(self._cluster_size, len(self.data) // self._cluster_size * 2))
            self.data[self._refblock + place] = self._rng.choice((0, 1, 2, 3, 255))
        return self.data

    def mappings(self, times: int) -> bytearray:
        """Change entries of L1 and L2 tables."""
        for _ in range(times):
            if self._rng.random() < 0.2:
                self._put(self._l1 + 8 * self._rng.randrange(self._l1_entries))
            else:
                self._put(self._rng.choice(self._tables) + 8 * self._rng.randrange(self._cluster_size // 8))
        return self.data

    def reftable(self) -> bytearray:
        """Change an entry of the refcount table."""
        self._put(self._reftable + 8 * self._rng.randrange(2))
        return self.data

    def length(self) -> bytearray:
        """Cut the image off, or make it longer than it is."""
        new = len(self.data) + self._rng.choice((-512, 100, -1, 2)) * self._rng.choice(
            (1, self._cluster_size)
        )
        if 2 * self._cluster_size < new < len(self.data):
            del self.data[new:]
        else:
            self.data.extend(bytes(max(new - len(self.data), 0)))
        return self.data

    def any(self) -> bytearray:
        """Do several of all these."""
        for _ in range(self._rng.randrange(1, 3)):
            chance = self._rng.random()
            if chance < 0.4:
                self.mappings(1)
            elif chance < 0.7:
                self.counts(1)
            elif chance < 0.9:
                self.reftable()
            else:
                self.length()
        return self.data
