"""``img commit``: store what an image holds in an image below it."""

from qmpserver.block import chain, reopening
from qmpserver.block.copy import CHUNK, CopyEngine
from qmpserver.block.draining import run_drained
from qmpserver.block.node import Node
from qmpserver.block.range_copy import RangeCopier
from qmpserver.cli.command_line import Failure, Given, expecting, table
from qmpserver.cli.images.images import Image, ImageName, Images, cache_mode
from qmpserver.cli.img.progress import Progress
from qmpserver.cli.img.rate import Rate
from qmpserver.cli.numbers import size_of
from qmpserver.driver_api.extras import SupportsMakeEmpty
from qmpserver.errors import QMPError, error_text
from qmpserver.units import GiB

OPTIONS = table(
    "f=format t=cache b=base d=drop r=rate-limit p=progress q=quiet",
    {
        "format": True,
        "image-opts": False,
        "cache": True,
        "base": True,
        "drop": False,
        "rate-limit": True,
        "progress": False,
        "quiet": False,
    },
)

HELP = """\
Usage: {invoked} [-f FORMAT | --image-opts] [options] FILE
Store what FILE and the images between hold in an image below it, which grows to the size of FILE if it is smaller.

  -f, --format FORMAT    do not find out the format but take this one
  --image-opts           FILE is a list of options (key=value,...)
  -t, --cache MODE       open the images in this cache mode
  -b, --base BASE        store it in this image of the chain, not in the one right below; FILE is not emptied then
  -d, --drop             leave what FILE holds in it
  -r, --rate-limit RATE  move no more bytes than this in a second
  -p, --progress         show how far it has come
  -q, --quiet            print errors only
  --object OBJECT        create an object that the images need
"""

_LOOK_AHEAD = 1 * GiB
"""Bytes that the images' tables are asked about at once."""


async def run(given: Given) -> int:
    """Commit the image."""
    rate = size_of("rate limit", given.last("rate-limit") or "0")
    if len(given.operands) != 1:
        expecting("one image file name")
    cache = cache_mode(given, "cache")
    name = ImageName.of(given, given.operands[0], cache=cache, writable=True)
    progress = Progress(is_wanted=given.has("progress") and not given.has("quiet"))
    async with Images(given) as images:
        image = await images.open(name)
        base = _find_base(image, given.last("base"))
        progress.show(0, 1)
        try:
            async with images.engine.graph.lock:
                if base.read_only:
                    await reopening.set_read_only(images.engine.graph, base, read_only=False)
            await _Commit(image.node, base, progress, Rate(images.engine.clock, rate)).run()
        except QMPError as error:
            raise Failure(error.description) from error
        except OSError as error:
            raise Failure(f"Block job failed: {error_text(error)}") from error
        if not given.has("drop") and given.last("base") is None:
            await _make_empty(image.node)
        progress.end()
    if not given.has("quiet"):
        print("Image committed.")
    return 0


def _find_base(image: Image, wanted: str | None) -> Node:
    found = (
        chain.skip_filters(image.node).backing
        if wanted is None
        else chain.find_backing_image(image.node, wanted)
    )
    if found is not None:
        return chain.skip_filters(found)
    if wanted is None:
        raise Failure("Image does not have a backing file")
    raise Failure(f"Did not find '{wanted}' in the backing chain of '{image.name.text}'")


class _Commit:
    """Copies what the layers above `base` hold down into it."""

    def __init__(self, top: Node, base: Node, progress: Progress, rate: Rate) -> None:
        self._top = top
        self._base = base
        self._progress = progress
        self._rate = rate
        self._engine = CopyEngine(self._move, self._on_done)
        self._copier = RangeCopier(top, base, self._engine, may_unmap=True)
        self._done = 0
        self._error: OSError | None = None

    async def run(self) -> None:
        """Copy everything, durably.

        Raises:
            OSError: The first that went wrong; some of the base is overwritten by what the top shows.
        """
        size = self._top.size
        if self._base.size < size:
            await self._base.truncate(size)
        last = next(node for node in chain.nodes(self._top) if node.backing is self._base).node_name
        offset = 0
        while offset < size and self._error is None:
            length = min(size - offset, _LOOK_AHEAD)
            is_held, length = await chain.is_allocated_down_to(self._top, last, offset, length)
            await self._take(offset, length, is_held=is_held)
            offset += length
        await self._engine.settle()
        if self._error is not None:
            raise self._error
        await self._base.flush()

    async def _take(self, offset: int, length: int, *, is_held: bool) -> None:
        if not is_held:
            self._on_done(offset, length, None)
            return
        end = offset + length
        while offset < end and self._error is None:
            piece = min(self._rate.at_once(CHUNK), end - offset)
            await self._rate.admit(piece)
            await self._engine.submit(offset, piece)
            offset += piece

    async def _move(self, offset: int, length: int) -> None:
        await self._copier.copy(offset, length)

    def _on_done(self, _offset: int, length: int, error: OSError | None) -> None:
        self._error = self._error or error
        self._done += length
        self._progress.show(self._done, self._top.size)


async def _make_empty(node: Node) -> None:
    """Let the image go of what it holds, if it can."""
    driver = node.driver
    if not isinstance(driver, SupportsMakeEmpty):
        return
    try:
        await run_drained((node,), driver.make_empty)
    except OSError as error:
        raise Failure(f"Could not empty {node.node_name}: {error_text(error)}") from error
