"""Make block devices of files, where the kernel and the user's rights allow it."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import need


@contextlib.contextmanager
def loop_device(folder: Path, content: bytes, *, read_only: bool = False) -> Iterator[str]:
    """Yield the name of a block device that holds `content`, or skip the test where none can be had."""
    if not os.access("/dev/loop-control", os.W_OK):
        pytest.skip("loop devices cannot be had")
    image = folder / "loop.img"
    image.write_bytes(content)
    how = ("--read-only",) if read_only else ()
    made = subprocess.run(
        [need("losetup"), *how, "--find", "--show", str(image)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"loop devices cannot be had: {made.stderr.strip()}")
    name = made.stdout.strip()
    try:
        yield name
    finally:
        subprocess.run([need("losetup"), "--detach", name], check=False)


def grow(device: str, folder: Path, size: int) -> None:
    """Make a device of :func:`loop_device` larger."""
    os.truncate(folder / "loop.img", size)
    subprocess.run([need("losetup"), "--set-capacity", device], check=True)
