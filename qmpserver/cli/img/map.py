"""``img map``: say which parts of an image hold data, in which layer, and where."""

from qmpserver.block.extents import extents
from qmpserver.cli.command_line import Failure, Given, expecting, table
from qmpserver.cli.images.images import ImageName, Images
from qmpserver.cli.img.map_text import HumanMap, JsonMap
from qmpserver.cli.numbers import size_of
from qmpserver.errors import error_text

OPTIONS = table(
    "f=format s=start-offset l=max-length U=force-share",
    {
        "format": True,
        "image-opts": False,
        "start-offset": True,
        "max-length": True,
        "force-share": False,
        "output": True,
    },
)

HELP = """\
Usage: {invoked} [-f FORMAT | --image-opts] [options] FILE
Say which parts of an image hold data, in which layer of its backing chain, and where.

  -f, --format FORMAT        do not find out the format but take this one
  --image-opts               FILE is a list of options (key=value,...)
  -s, --start-offset OFFSET  begin there
  -l, --max-length LENGTH    look at no more than so many bytes
  -U, --force-share          others may write the image meanwhile
  --output human|json        how to print
  --object OBJECT            create an object that the image needs
"""


async def run(given: Given) -> int:
    """Print the map."""
    as_json = given.wants_json
    first = given.last("start-offset")
    start = size_of("start offset", first) if first else 0
    most = given.last("max-length")
    length = None if most is None else size_of("max length", most)
    if len(given.operands) != 1:
        expecting("one image file name")
    name = ImageName.of(given, given.operands[0])
    async with Images(given) as images:
        image = await images.open(name)
        end = image.size if length is None else min(image.size, start + length)
        printer = JsonMap(start) if as_json else HumanMap()
        try:
            async for found in extents(image.node, start, end):
                printer.add(found)
        except OSError as error:
            printer.flush()
            raise Failure(f"Failed to read image metadata: {error_text(error)}") from error
        printer.end()
    return 0
