"""Say in a few letters what a disk image holds, so that images made by two programs can be compared."""

import asyncio
import contextlib
import hashlib
import os
from pathlib import Path

from qmpserver.block.extents import extents
from qmpserver.block.node import Node
from qmpserver.cli.command_line import Failure, Given, Tool
from qmpserver.cli.images.images import ImageName, Images
from qmpserver.driver_api.extras import CheckMode, SupportsBackingFile, SupportsCheck, SupportsSnapshots

_BLOCK = 4096
_ZEROES = bytes(_BLOCK)


async def _digest(path: Path) -> str:
    """Work out the digest: of size, data, backing file, bitmaps and snapshots, not of how they are stored."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == b"LUKS":
        return "closed"
    name = ImageName(path.name, None if magic == b"QFI\xfb" else "raw", force_share=True)
    found = hashlib.sha256()
    async with Images(Given(Tool("", "", ""))) as images:
        if name.image_format is None and await _is_damaged(images, name):
            return "damaged"
        try:
            node = (await images.open(name)).node
        except Failure:
            # An encrypted one without its key, or one whose backing file is gone.
            return "closed"
        driver = node.driver
        if isinstance(driver, SupportsBackingFile):
            found.update(f"{driver.backing_filename} {driver.backing_format}".encode())
        if isinstance(driver, SupportsSnapshots):
            found.update(" ".join(f"{one.snapshot_id} {one.name}" for one in driver.snapshots).encode())
        for bitmap in node.dirty_bitmaps:
            marks = "" if bitmap.is_inconsistent else bitmap.sha256()
            found.update(f"{bitmap.name} {bitmap.granularity} {bitmap.is_enabled} {marks}".encode())
        await _add_data(node, found)
    return found.hexdigest()[:12]


async def _is_damaged(images: Images, name: ImageName) -> bool:
    """Say whether a check finds more than leaks."""
    try:
        image = await images.open(name, with_backing=False, for_check=True)
    except Failure:
        return False
    assert isinstance(image.node.driver, SupportsCheck)
    async with image.node.drained():
        found = await image.node.driver.check(CheckMode.NONE)
    await images.close(image)
    return bool(found.corruptions or found.check_errors)


async def _add_data(node: Node, found: "hashlib._Hash") -> None:
    """Add every block that is not zero, and where it is."""
    found.update(str(node.size).encode())
    buffer = memoryview(bytearray(_BLOCK))
    reached = 0
    async for each in extents(node, 0, node.size):
        offset = each.offset
        for status in each.statuses:
            end = offset + status.length
            if status.is_data and not status.is_zero:
                reached = max(reached, offset // _BLOCK * _BLOCK)
                while reached < end:
                    await node.pread(reached, buffer)
                    if bytes(buffer) != _ZEROES:
                        found.update(f"@{reached}".encode() + buffer)
                    reached += _BLOCK
            offset = end


class Watch:
    """Looks at the images of a folder again and again, and only at those that may have changed.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamps: dict[str, tuple[int, int, int]] = {}
        self._known: dict[str, str] = {}

    def look(self) -> dict[str, str]:
        """Return what has changed since the last time, by name: the digest, or an empty text for what is gone."""
        stamps = {entry.name: _stamp(entry) for entry in os.scandir(self._folder) if entry.is_file()}
        # Backing files are named as seen from there.
        with contextlib.chdir(self._folder):
            now = {
                name: self._known[name]
                if self._stamps.get(name) == stamp
                else asyncio.run(_digest(Path(name)))
                for name, stamp in stamps.items()
            }
        gone = dict.fromkeys(self._known.keys() - now.keys(), "")
        changed = gone | {name: digest for name, digest in now.items() if self._known.get(name) != digest}
        self._stamps, self._known = stamps, now
        return changed


def _stamp(entry: "os.DirEntry[str]") -> tuple[int, int, int]:
    status = entry.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
