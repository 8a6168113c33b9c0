"""``img compare``: say whether two images show the same data."""

from qmpserver.block import chain
from qmpserver.block.copy import CHUNK
from qmpserver.block.node import Node
from qmpserver.cli.command_line import Failure, Given, expecting, table
from qmpserver.cli.images.images import ImageName, Images, cache_mode
from qmpserver.cli.img.progress import Progress
from qmpserver.driver_api.status import BlockStatus
from qmpserver.errors import error_text
from qmpserver.zeroes import is_zero

OPTIONS = table(
    "f=a-format F=b-format s=strict T=cache U=force-share p=progress q=quiet",
    {
        "a-format": True,
        "b-format": True,
        "image-opts": False,
        "strict": False,
        "cache": True,
        "force-share": False,
        "progress": False,
        "quiet": False,
    },
)

HELP = """\
Usage: {invoked} [[-f FORMAT] [-F FORMAT] | --image-opts] [options] FILE1 FILE2
Say whether two images show the same data.

  -f, --a-format FORMAT  do not find out the format of FILE1 but take this one
  -F, --b-format FORMAT  the same for FILE2
  --image-opts           both are lists of options (key=value,...)
  -s, --strict           their sizes, and what they allocate, have to be the same as well
  -T, --cache MODE       open the images in this cache mode
  -U, --force-share      others may write the images meanwhile
  -p, --progress         show how far it has come
  -q, --quiet            print errors only
  --object OBJECT        create an object that the images need

It ends with 0 when they are the same, 1 when they differ, and more when they could not be compared.
"""

_DIFFERENT, _NOT_OPENED, _STATUS_UNKNOWN, _NOT_READ = 1, 2, 3, 4


class _Different(Exception):
    """Say how the images differ."""


async def run(given: Given) -> int:
    """Compare the images."""
    if len(given.operands) != 2:
        expecting("two image file names")
    if given.has("image-opts") and (given.has("a-format") or given.has("b-format")):
        raise Failure("--image-opts and --format are mutually exclusive", status=_NOT_OPENED)
    try:
        cache = cache_mode(given, "cache", "source cache option")
    except Failure as failure:
        failure.status = _NOT_OPENED
        raise
    first_name, second_name = (
        ImageName(
            name,
            given.last(option),
            given.has("image-opts"),
            cache,
            force_share=given.has("force-share"),
        )
        for name, option in zip(given.operands, ("a-format", "b-format"), strict=True)
    )
    say = (lambda _text: None) if given.has("quiet") else print
    progress = Progress(is_wanted=given.has("progress") and not given.has("quiet"))
    async with Images(given) as images:
        try:
            first = await images.open(first_name)
            second = await images.open(second_name)
        except Failure as failure:
            failure.status = _NOT_OPENED
            raise
        comparison = _Comparison(first.node, second.node, given, progress)
        progress.show(0, 1)
        try:
            remark = await comparison.run()
        except _Different as different:
            progress.end_early()
            say(str(different))
            return _DIFFERENT
        progress.show(1, 1)
        if remark:
            say(remark)
        say("Images are identical.")
        progress.end_early()
    return 0


class _Comparison:
    """Goes through two images side by side."""

    def __init__(self, first: Node, second: Node, given: Given, progress: Progress) -> None:
        self._nodes = (first, second)
        self._names = given.operands
        self._is_strict = given.has("strict")
        self._progress = progress
        self._buffers = (memoryview(bytearray(CHUNK)), memoryview(bytearray(CHUNK)))

    async def run(self) -> str:
        """Compare; return what is remarkable about images that are the same.

        Raises:
            _Different: They are not.
            Failure: It could not be found out.
        """
        first, second = self._nodes
        if self._is_strict and first.size != second.size:
            raise _Different("Strict mode: Image size mismatch!")
        total, offset = min(first.size, second.size), 0
        while offset < total:
            offset += await self._compare_run(offset, total - offset)
            self._progress.show(offset, max(first.size, second.size))
        if first.size == second.size:
            return ""
        await self._compare_rest(int(second.size > first.size), offset)
        return "Warning: Image size mismatch!"

    async def _status(self, which: int, offset: int, length: int) -> BlockStatus:
        try:
            return await chain.status_above(self._nodes[which], offset, length)
        except OSError as error:
            name = self._names[which]
            message = f"Sector allocation test failed for {name}: {error_text(error)}"
            raise Failure(message, status=_STATUS_UNKNOWN) from error

    async def _compare_run(self, offset: int, length: int) -> int:
        first, second = [await self._status(which, offset, length) for which in (0, 1)]
        run = min(first.length, second.length, length)
        if self._is_strict and (first.is_data, first.is_zero, first.is_allocated) != (
            second.is_data,
            second.is_zero,
            second.is_allocated,
        ):
            raise _Different(f"Strict mode: Offset {offset} block status mismatch!")
        if first.is_zero and second.is_zero:
            return run
        run = min(run, CHUNK)
        if first.is_zero or second.is_zero:
            await self._expect_zeroes(int(first.is_zero), offset, run)
            return run
        ours, theirs = [await self._read(which, offset, run) for which in (0, 1)]
        if bytes(ours) != bytes(theirs):
            raise _Different(f"Content mismatch at offset {offset + _first_sector(ours, theirs)}!")
        return run

    async def _read(self, which: int, offset: int, length: int) -> memoryview:
        into = self._buffers[which][:length]
        try:
            await self._nodes[which].pread(offset, into)
        except OSError as error:
            message = f"Error while reading offset {offset} of {self._names[which]}: {error_text(error)}"
            raise Failure(message, status=_NOT_READ) from error
        return into

    async def _expect_zeroes(self, which: int, offset: int, length: int) -> None:
        data = await self._read(which, offset, length)
        if not is_zero(data):
            zeroes = memoryview(bytes(length))
            raise _Different(f"Content mismatch at offset {offset + _first_sector(data, zeroes)}!")

    async def _compare_rest(self, longer: int, offset: int) -> None:
        """What only one image has must be zero."""
        size = self._nodes[longer].size
        while offset < size:
            status = await self._status(longer, offset, size - offset)
            run = status.length
            if status.is_data and not status.is_zero:
                run = min(run, CHUNK)
                await self._expect_zeroes(longer, offset, run)
            offset += run
            self._progress.show(offset, size)


def _first_sector(left: memoryview, right: memoryview) -> int:
    """Return the offset of the first sector in which two pieces differ."""
    return next(
        start for start in range(0, len(left), 512) if left[start : start + 512] != right[start : start + 512]
    )
