"""``img dd``: copy an image, or a part of it, into a new one of any format, with operands as ``dd`` takes them."""

from dataclasses import dataclass

from qmpserver.block.copy import CHUNK
from qmpserver.block.node import Node
from qmpserver.cli.command_line import Failure, Given, refuse_both, table
from qmpserver.cli.images.images import ImageName, Images
from qmpserver.cli.img.creation import NewImage, make
from qmpserver.cli.img.creation_options import FORMATS
from qmpserver.cli.numbers import size_of
from qmpserver.engine import DRIVERS
from qmpserver.errors import error_text
from qmpserver.options.cache_modes import UNSAFE

OPTIONS = table(
    "f=format O=output-format U=force-share",
    {"format": True, "image-opts": False, "output-format": True, "force-share": False},
)

HELP = """\
Usage: {invoked} [-f FORMAT | --image-opts] [options] [bs=SIZE] [count=COUNT] [skip=COUNT] if=INPUT of=OUTPUT
Copy an image, or a part of it, into a new one; OUTPUT is lost if it exists.

  bs=SIZE                      bytes of a block (512)
  count=COUNT                  copy so many blocks, not all there are
  skip=COUNT                   leave out so many blocks at the beginning of INPUT
  if=INPUT                     what to copy
  of=OUTPUT                    where to
  -f, --format FORMAT          do not find out the format of INPUT but take this one
  --image-opts                 INPUT is a list of options (key=value,...)
  -O, --output-format FORMAT   make OUTPUT of this format (raw when not given)
  -U, --force-share            others may write INPUT meanwhile
  --object OBJECT              create an object that the images need
"""

_MOST_BLOCK = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class _Operands:
    """What ``name=value`` says."""

    source: str
    target: str
    block: int
    count: int | None
    skip: int

    def part_of(self, size: int) -> tuple[int, int]:
        """Return where to begin in a disk of that size, and where to end."""
        end = size if self.count is None else min(size, self.count * self.block)
        return self.skip * self.block, end


async def run(given: Given) -> int:
    """Copy the image."""
    operands = _read(given.operands)
    output_format = given.get("output-format", "raw")
    refuse_both(given, "image-opts", "format")
    if output_format not in DRIVERS:
        raise Failure("Unknown file format")
    async with Images(given) as images:
        source = await images.open(ImageName.of(given, operands.source))
        if output_format not in FORMATS:
            raise Failure(f"Format driver '{output_format}' does not support image creation")
        start, end = operands.part_of(source.size)
        new = NewImage(operands.target, output_format, {"size": max(end - start, 0)})
        await make(images.engine, new, f"{operands.target}: error while creating output image: ")
        name = ImageName(operands.target, output_format, cache=UNSAFE, writable=True)
        target = await images.open(name)
        if start > source.size:
            given.tool.reporter.error(f"{operands.source}: cannot skip to specified offset")
        await _copy(source.node, target.node, start, end)
    return 0


def _read(words: list[str]) -> _Operands:
    values: dict[str, str] = {}
    numbers = {"bs": 512, "count": -1, "skip": 0}
    for word in words:
        name, equals, value = word.partition("=")
        if name not in {"bs", "count", "skip", "if", "of"} or not equals:
            raise Failure(f"unrecognized operand {name}")
        if name == "bs":
            numbers[name] = size_of(name, value, 1, _MOST_BLOCK)
        elif name in numbers:
            numbers[name] = size_of(name, value)
        else:
            values[name] = value
    if not {"if", "of"} <= values.keys():
        raise Failure("Must specify both input and output files")
    count = numbers["count"]
    return _Operands(values["if"], values["of"], numbers["bs"], None if count < 0 else count, numbers["skip"])


async def _copy(source: Node, target: Node, start: int, end: int) -> None:
    """Copy everything, zeroes as well, to the beginning of `target`."""
    buffer = memoryview(bytearray(max(min(CHUNK, end - start), 0)))
    for offset in range(start, end, CHUNK):
        piece = buffer[: end - offset]
        try:
            await source.pread(offset, piece)
        except OSError as error:
            raise Failure(f"error while reading from input image file: {error_text(error)}") from error
        try:
            await target.pwrite(offset - start, piece)
        except OSError as error:
            raise Failure(f"error while writing to output image file: {error_text(error)}") from error
