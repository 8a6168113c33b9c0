"""Make images with the real tools, and judge qcow2 images independently of the driver."""

import json
import struct
import subprocess
from array import array
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from tests.peers import need

_OFFSET = 0x00FF_FFFF_FFFF_FE00
_EXTERNAL = 1 << 2
_EXTENDED = 1 << 4


def qemu_img(*arguments: str | Path) -> str:
    """Run ``qemu-img`` and return what it prints; it must succeed."""
    return _run("qemu-img", *arguments)


def qemu_io(image: Path, *commands: str, options: tuple[str, ...] = ()) -> str:
    """Run ``qemu-io`` commands on a qcow2 image; each must succeed."""
    arguments = [part for command in commands for part in ("-c", command)]
    printed = _run("qemu-io", "-f", "qcow2", *options, *arguments, image)
    assert "failed" not in printed, printed
    return printed


def _run(program: str, *arguments: str | Path) -> str:
    done = subprocess.run([need(program), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{program} {arguments}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def make_qcow2(path: Path, size: str, **options: str | int | Path) -> Path:
    """Make an image with ``qemu-img create``; options are those of ``-o`` with underscores."""
    values = ",".join(f"{name}={value}" for name, value in options.items())
    qemu_img("create", "-q", "-f", "qcow2", *(["-o", values] if values else []), path, size)
    return path


def qemu_check(path: Path) -> dict[str, Any]:
    """Return what ``qemu-img check`` says: the `corruptions`, `leaks`, `check-errors` that are not zero."""
    done = subprocess.run(
        [need("qemu-img"), "check", "-f", "qcow2", "--output=json", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 2, 3}, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return {name: result[name] for name in ("corruptions", "leaks", "check-errors") if result.get(name)}


class Verdict(NamedTuple):
    """What is wrong with an image.

    Attributes:
        corruptions: What could lose data, in words.
        leaks: Clusters that are counted and not used.
    """

    corruptions: list[str]
    leaks: int


def judge(data: bytes | bytearray) -> Verdict:
    """Check the structure of a qcow2 image held in memory, from the specification alone."""
    return _Judge(bytes(data)).verdict()


class _Judge:
    def __init__(self, data: bytes) -> None:
        self.data = data
        (_, self.version, _, _, self.bits, _, _, self.l1_entries, self.l1_offset, self.table_offset,
         self.table_clusters, self.snapshots, self.snapshot_offset) = struct.unpack_from(">4sIQIIQIIQQIIQ", data)  # fmt: skip
        self.cluster = 1 << self.bits
        self.incompatible = struct.unpack_from(">Q", data, 72)[0] if self.version == 3 else 0
        self.order = struct.unpack_from(">I", data, 96)[0] if self.version == 3 else 4
        self.used: Counter[int] = Counter()
        self.bad: list[str] = []
        self.flags: list[tuple[int, bool, str]] = []

    def table(self, offset: int, length: int) -> "array[int]":
        found = array("Q", self.data[offset : offset + length].ljust(length, b"\0"))
        found.byteswap()
        return found

    def use(self, offset: int, length: int) -> None:
        self.used.update(range(offset >> self.bits, (offset + length - 1 >> self.bits) + 1 if length else 0))

    def walk(self, offset: int, entries: int, *, active: bool) -> None:
        self.use(offset, entries * 8)
        for index, entry in enumerate(self.table(offset, entries * 8)):
            if not entry & _OFFSET:
                continue
            self.use(entry & _OFFSET, self.cluster)
            if active:
                self.flags.append((entry & _OFFSET, bool(entry >> 63), f"L1 entry {index}"))
            if self.incompatible & _EXTERNAL:
                continue
            words = 2 if self.incompatible & _EXTENDED else 1
            table = self.table(entry & _OFFSET, self.cluster)
            for place, l2_entry in enumerate(table[::words]):
                if words == 2:
                    self.check_bitmap(l2_entry, table[2 * place + 1], f"L2 entry {index}.{place}")
                self.use_entry(l2_entry, f"L2 entry {index}.{place}", active=active)

    def check_bitmap(self, entry: int, bitmap: int, name: str) -> None:
        if bitmap >> 32 & bitmap or (bitmap & 0xFFFF_FFFF and not entry & _OFFSET):
            self.bad.append(f"{name}: bitmap {bitmap:#x} of {entry:#x}")

    def use_entry(self, entry: int, name: str, *, active: bool) -> None:
        if entry >> 62 & 1:
            shift = 62 - (self.bits - 8)
            start = entry & ((1 << shift) - 1)
            sectors = (entry & ((1 << 62) - 1)) >> shift
            self.use(start, (sectors + 1) * 512 - start % 512)
        elif entry & _OFFSET:
            self.use(entry & _OFFSET, self.cluster)
            if active:
                self.flags.append((entry & _OFFSET, bool(entry >> 63), name))

    def walk_snapshots(self) -> None:
        offset = self.snapshot_offset
        for _ in range(self.snapshots):
            l1, entries, id_length, name_length = struct.unpack_from(">QIHH", self.data, offset)
            extra = struct.unpack_from(">I", self.data, offset + 36)[0]
            self.walk(l1, entries, active=False)
            offset = -(-(offset + 40 + extra + id_length + name_length) // 8) * 8
        self.use(self.snapshot_offset, offset - self.snapshot_offset if self.snapshots else 0)

    def stored(self) -> dict[int, int]:
        counts: dict[int, int] = {}
        width = 1 << self.order
        for index, offset in enumerate(self.table(self.table_offset, self.table_clusters * self.cluster)):
            if not offset:
                continue
            self.use(offset, self.cluster)
            block = self.data[offset : offset + self.cluster].ljust(self.cluster, b"\0")
            first = index * self.cluster * 8 // width
            if width >= 8:
                size = width // 8
                values = [int.from_bytes(block[at : at + size], "big") for at in range(0, self.cluster, size)]
            else:
                values = [byte >> shift & (1 << width) - 1 for byte in block for shift in range(0, 8, width)]
            counts.update((first + place, value) for place, value in enumerate(values) if value)
        return counts

    def verdict(self) -> Verdict:
        self.use(0, self.cluster)
        self.use(self.table_offset, self.table_clusters * self.cluster)
        self.walk(self.l1_offset, self.l1_entries, active=True)
        self.walk_snapshots()
        stored = self.stored()
        wrong = [
            f"cluster {cluster} is used {count} times and counted {stored.get(cluster, 0)} times"
            for cluster, count in self.used.items()
            if stored.get(cluster, 0) < count
        ]
        wrong += [
            f"{name}: COPIED is {copied}, count of cluster {offset >> self.bits} is {stored.get(offset >> self.bits)}"
            for offset, copied, name in self.flags
            if copied != (stored.get(offset >> self.bits) == 1)
        ]
        leaks = sum(1 for cluster, count in stored.items() if count > self.used.get(cluster, 0))
        return Verdict(wrong + self.bad, leaks)
