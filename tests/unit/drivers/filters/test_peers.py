"""What filters leave behind in images is what QEMU leaves behind, and QEMU finds it sound."""

import asyncio
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from qmpserver.clock import SystemClock
from qmpserver.daemon import Daemon
from qmpserver.schema.loader import load
from tests.images import make_qcow2, qemu_check, qemu_img
from tests.peers import need

SIZE = 4 << 20
CLUSTER = 65536

Writes = list[tuple[int, int, int]]
"""Offset, length, and the byte to write, 0 for zeroes."""


def random_writes() -> Writes:
    rng = random.Random(7)
    writes = []
    for _ in range(25):
        offset = rng.randrange(SIZE // 512) * 512
        length = min(rng.randrange(1, 400) * 512, SIZE - offset)
        writes.append((offset, length, rng.randrange(4)))
    return writes


def by_qemu(options: dict[str, Any], writes: Writes) -> None:
    commands = []
    for offset, length, byte in writes:
        how = f"-P {byte}" if byte else "-z"
        commands += ["-c", f"write {how} {offset} {length}"]
    command = [need("qemu-io"), *commands, "json:" + json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "failed" not in done.stdout


def by_us(options: dict[str, Any], writes: Writes) -> None:
    async def main() -> None:
        daemon = Daemon(load(), SystemClock())
        node = await daemon.blockdev_add({**options, "node-name": "n"})
        for offset, length, byte in writes:
            if byte:
                await node.pwrite(offset, memoryview(bytes([byte]) * length))
            else:
                await node.pwrite_zeroes(offset, length)
        await daemon.close()

    asyncio.run(main())


def made(folder: Path, name: str) -> Path:
    return make_qcow2(folder / f"{name}.qcow2", str(SIZE), cluster_size=CLUSTER)


def content(path: Path) -> bytes:
    raw = path.with_suffix(".raw")
    qemu_img("convert", "-f", "qcow2", "-O", "raw", path, raw)
    return raw.read_bytes()


def applied(writes: Writes) -> bytes:
    disk = bytearray(SIZE)
    for offset, length, byte in writes:
        disk[offset : offset + length] = bytes([byte]) * length
    return bytes(disk)


def compressed(path: Path) -> list[tuple[int, int, bool]]:
    """Return which parts of an image hold data, and whether that is compressed."""
    entries = json.loads(qemu_img("map", "--output=json", path))
    return [
        (entry["start"], entry["length"], entry.get("compressed", False))
        for entry in entries
        if entry["data"]
    ]


def under_compress(path: Path) -> dict[str, Any]:
    image = {"driver": "qcow2", "file": {"driver": "file", "filename": str(path)}}
    return {"driver": "compress", "file": image}


def over_preallocate(path: Path) -> dict[str, Any]:
    file = {"driver": "file", "filename": str(path)}
    return {"driver": "qcow2", "file": {"driver": "preallocate", "prealloc-size": 1 << 20, "file": file}}


@pytest.mark.parametrize("shape", [under_compress, over_preallocate])
def test_the_image_holds_what_was_written_and_is_sound(tmp_path: Path, shape: Any) -> None:
    path, writes = made(tmp_path, "ours"), random_writes()
    by_us(shape(path), writes)
    assert qemu_check(path) == {}
    assert content(path) == applied(writes)


def test_the_same_clusters_are_compressed_as_by_qemu(tmp_path: Path) -> None:
    # Each cluster once: QEMU does not write a compressed one over another.
    writes = [(0, 3 * CLUSTER, 1), (5 * CLUSTER + 512, 1024, 2), (8 * CLUSTER + 4096, 2 * CLUSTER, 3)]
    paths = {}
    for who, write in (("ours", by_us), ("theirs", by_qemu)):
        paths[who] = made(tmp_path, who)
        write(under_compress(paths[who]), writes)
    assert compressed(paths["ours"]) == compressed(paths["theirs"])
    assert content(paths["ours"]) == content(paths["theirs"]) == applied(writes)


def test_a_file_is_cut_back_to_what_the_image_needs(tmp_path: Path) -> None:
    sizes = []
    for who, write in (("ours", by_us), ("theirs", by_qemu)):
        path = made(tmp_path, who)
        write(over_preallocate(path), [(0, SIZE, 1)])
        sizes.append(path.stat().st_size)
    assert sizes[0] == sizes[1]
