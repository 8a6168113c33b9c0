"""Make chains of small images whose layers differ, and say what they show."""

import random
from pathlib import Path

from qmpserver.__main__ import run
from tests.images import qemu_img

UNIT = 1 << 16


def img(*words: str | Path) -> int:
    """Run the image tool in this process and return its status."""
    return run("qmpserver", ["img", *map(str, words)])


def make(path: Path, units: int, *, backing: Path | None = None, options: str = "") -> Path:
    """Make a qcow2 image of so many units of 64 KiB."""
    under: list[str | Path] = [] if backing is None else ["-b", backing, "-F", "qcow2"]
    asked = ["-o", options] if options else []
    assert img("create", "-q", "-f", "qcow2", *under, *asked, path, str(units * UNIT)) == 0
    return path


def fill(path: Path, units: int, rng: random.Random) -> Path:
    """Write into some of the units, or parts of them, and make others zero."""
    commands: list[str] = []
    for unit in range(units):
        match rng.randrange(5):
            case 0:
                commands += ["-c", f"write -P {rng.randrange(1, 3)} {unit * UNIT} 64k"]
            case 1:
                commands += ["-c", f"write -P {rng.randrange(1, 256)} {unit * UNIT + 1024} 3k"]
            case 2:
                commands += ["-c", f"write -z {unit * UNIT} 64k"]
            case _:
                pass
    assert run("qmpserver", ["io", "-f", "qcow2", *commands, str(path)]) == 0
    return path


def shown(path: Path) -> bytes:
    """Return what an image shows, as QEMU reads it; nothing may be wrong with it."""
    qemu_img("check", "-q", path)
    raw = path.with_suffix(".shown")
    qemu_img("convert", "-f", "qcow2", "-O", "raw", path, raw)
    return raw.read_bytes()


def break_bitmap(path: Path, name: str) -> None:
    """Have a bitmap say that it was in use when the image was last written."""
    data = bytearray(path.read_bytes())
    at = data.rindex(name.encode()) - 24
    data[at + 15] |= 1
    path.write_bytes(data)
