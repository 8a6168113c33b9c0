"""``img resize``: change an image's size."""

from qmpserver.block.draining import run_drained
from qmpserver.cli.command_line import Failure, Given, expecting, table
from qmpserver.cli.images.images import Image, ImageName, Images
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.errors import QMPError, error_text
from qmpserver.numerals import parse_size

OPTIONS = table(
    "f=format q=quiet",
    {"format": True, "image-opts": False, "preallocation": True, "shrink": False, "quiet": False},
)._replace(negative_operand=1)

HELP = """\
Usage: {invoked} [-f FORMAT | --image-opts] [options] FILE [+|-]SIZE
Change an image's size to SIZE bytes, or by so many; a suffix k, M, G, T, P or E may follow.

  -f, --format FORMAT   do not find out the format but take this one
  --image-opts          FILE is a list of options (key=value,...)
  --preallocation MODE  set space for what is new aside: off, metadata, falloc or full
  --shrink              the image may become smaller; what lies beyond its end is lost
  -q, --quiet           print errors only
  --object OBJECT       create an object that the image needs
"""

_SHRINKING = (
    "Shrinking an image will delete all data beyond the shrunken image's end. Before performing such an "
    "operation, make sure there is no important data there."
)


async def run(given: Given) -> int:
    """Change the size."""
    if len(given.operands) > 2:
        raise Failure("Extra argument(s) in command line", hint=True)
    if len(given.operands) != 2:
        expecting("image file name and size")
    filename, text = given.operands
    preallocation = _preallocation(given)
    sign = text[0] if text[:1] in {"+", "-"} else ""
    amount = parse_size(text.removeprefix(sign))
    if amount is None:
        raise Failure("Parameter 'size' expects a non-negative number below 2^64")
    async with Images(given) as images:
        image = await images.open(ImageName.of(given, filename, writable=True))
        present = image.size
        size = {"": amount, "+": present + amount, "-": present - amount}[sign]
        if size <= 0:
            raise Failure("New image size must be positive")
        if size <= present and preallocation is not Preallocation.OFF:
            raise Failure("Preallocation can only be used for growing images")
        if size < present and not given.has("shrink"):
            given.tool.reporter.error("Use the --shrink option to perform a shrink operation.")
            given.tool.reporter.warning(_SHRINKING)
            return 1
        await _resize(image, size, preallocation)
        if not given.has("quiet"):
            print("Image resized.")
    return 0


def _preallocation(given: Given) -> Preallocation:
    wanted = given.last("preallocation") or "off"
    try:
        return Preallocation(wanted)
    except ValueError as error:
        raise Failure(f"Invalid preallocation mode '{wanted}'") from error


async def _resize(image: Image, size: int, preallocation: Preallocation) -> None:
    async def truncate() -> None:
        await image.node.truncate(size, preallocation)

    try:
        await run_drained((image.node,), truncate)
        await image.node.flush()
    except QMPError as error:
        raise Failure(error.description) from error
    except OSError as error:
        raise Failure(error.strerror or error_text(error)) from error
