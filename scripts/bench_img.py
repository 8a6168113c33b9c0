"""Measure the image tool beside qemu-img: whole processes, on the same images."""

import os
import random
import shlex
import subprocess
import time
from array import array
from pathlib import Path

MIB = 1 << 20
_CLUSTERS = 1 << 21
_CLUSTER = 1 << 16
_OFFSET = 0x00FF_FFFF_FFFF_FE00


def _timed(command: list[str], out: Path | None = None) -> float:
    """Run a command to its end and return the seconds it took."""
    with (out or Path(os.devnull)).open("wb") as sink:
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=sink)
        return time.perf_counter() - began


def large_image(folder: Path, *, is_fragmented: bool) -> Path:
    """Make an image of 2 million clusters, in order or at random within every 64 MiB, kept between runs."""
    path = folder / ("fragmented.qcow2" if is_fragmented else "large.qcow2")
    if path.exists():
        return path
    size = str(_CLUSTERS * _CLUSTER)
    options = ["-f", "qcow2", "-o", "preallocation=metadata"]
    subprocess.run(["qemu-img", "create", "-q", *options, str(path), size], check=True)
    if is_fragmented:
        _shuffle(path)
    return path


def _shuffle(path: Path) -> None:
    chance = random.Random(1)
    with path.open("r+b") as image:
        header = image.read(48)
        image.seek(int.from_bytes(header[40:48], "big"))
        l1 = array("Q", image.read(8 * int.from_bytes(header[36:40], "big")))
        l1.byteswap()
        for entry in l1:
            image.seek(entry & _OFFSET)
            entries = array("Q", image.read(_CLUSTER))
            for start in range(0, len(entries), 1024):
                part = entries[start : start + 1024].tolist()
                chance.shuffle(part)
                entries[start : start + 1024] = array("Q", part)
            image.seek(entry & _OFFSET)
            image.write(entries.tobytes())


def measure_tables(command: str, folder: Path) -> dict[str, float]:
    """Check and map an image of 2 million clusters."""
    tool, out = shlex.split(command), folder / "map.json"
    figures: dict[str, float] = {}
    for is_fragmented, name in ((False, "in order"), (True, "fragmented")):
        path = str(large_image(folder, is_fragmented=is_fragmented))
        figures[f"check 2 M clusters, {name}, s"] = _timed([*tool, "check", path])
        figures[f"map 2 M clusters, {name}, s"] = _timed([*tool, "map", "--output=json", path], out)
    figures["info, s"] = _timed([*tool, "info", path])
    figures["--version, s"] = _timed([*tool, "--version"])
    return figures


def measure_writes(command: str, folder: Path, mib: int) -> dict[str, float]:
    """Write a new image from its beginning to its end."""
    figures: dict[str, float] = {}
    for size, name in ((1 << 16, "64 KiB"), (MIB, "1 MiB")):
        path = folder / "written.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), f"{mib + 2}M"], check=True)
        count = str(mib * MIB // size)
        seconds = _timed([*shlex.split(command), "bench", "-w", "-c", count, "-s", str(size), str(path)])
        figures[f"allocating writes of {name}, MiB/s"] = mib / seconds
        path.unlink()
    return figures


def measure_convert(command: str, folder: Path, data: Path, mib: int) -> dict[str, float]:
    """Convert a raw image to qcow2, plainly and compressed, and compare what came out."""
    figures: dict[str, float] = {}
    path = folder / "converted.qcow2"
    for options, name in (
        ([], "convert"),
        (["-c"], "convert -c (zlib)"),
        (["-c", "-o", "compression_type=zstd"], "convert -c (zstd)"),
    ):
        line = [*shlex.split(command), "convert", "-f", "raw", "-O", "qcow2", *options, str(data), str(path)]
        figures[f"{name}, MiB/s"] = mib / _timed(line)
        subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", str(data), str(path)], check=True)
        path.unlink()
    return figures
