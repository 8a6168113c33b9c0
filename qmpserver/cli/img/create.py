"""``img create``: make a new image."""

from qmpserver.block import filenames
from qmpserver.cli import option_lists
from qmpserver.cli.command_line import Answer, Failure, Given, expecting, table
from qmpserver.cli.images.images import CannotOpen, ImageName, Images
from qmpserver.cli.img.creation import NewImage, make, options_of, take_backing
from qmpserver.cli.img.creation_options import CreationOption, creation_help, shown
from qmpserver.cli.numbers import size_of
from qmpserver.errors import QMPError
from qmpserver.options.flat_options import Value

OPTIONS = table(
    "f=format o=options b=backing B=backing-format F=backing-format u=backing-unsafe q=quiet",
    {
        "format": True,
        "options": True,
        "backing": True,
        "backing-format": True,
        "backing-unsafe": False,
        "quiet": False,
    },
)

HELP = """\
Usage: {invoked} [-f FORMAT] [options] FILE [SIZE]
Make a new image.  FILE is lost if it exists.  SIZE is in bytes, or with a suffix k, M, G, T, P or E.

  -f, --format FORMAT           make it of this format (raw when not given)
  -o, --options OPTIONS         further options, name=value,...; "-o help" lists those of the format
  -b, --backing FILE            let it lie over another image, whose size is taken when none is given
  -B, --backing-format FORMAT   the format of that image
  -u, --backing-unsafe          do not look at that image
  -q, --quiet                   print errors only
  --object OBJECT               create an object that the image needs
"""


async def run(given: Given) -> int:
    """Make the image."""
    text = option_lists.join(given.all("options"))
    image_format = given.get("format", "raw")
    if not given.operands and option_lists.wants_help(text):
        raise Answer(creation_help(image_format, options_of(image_format), None))
    if not given.operands:
        expecting("image file name")
    filename, *sizes = given.operands
    if len(sizes) > 1:
        raise Failure(f"Unexpected argument: {sizes[1]}", hint=True)
    size = size_of("image size", sizes[0]) if sizes else None
    about = f"{filename}: "
    options = options_of(image_format, about)
    if option_lists.wants_help(text):
        raise Answer(creation_help(image_format, options, filename))
    async with Images(given) as images:
        values = await _values(images, given, filename, options, text=text, size=size)
        if not given.has("quiet"):
            print(f"Formatting '{filename}', fmt={image_format} {shown(options, values)}", flush=True)
        await make(images.engine, NewImage(filename, image_format, values), about)
    return 0


async def _values(
    images: Images,
    given: Given,
    filename: str,
    options: tuple[CreationOption, ...],
    *,
    text: str,
    size: int | None,
) -> dict[str, Value]:
    """Read the options, and find out what they leave open."""
    about = f"{filename}: "
    try:
        filenames.protocol_options(filename)
    except QMPError as error:
        raise Failure(f"{about}{error.description}") from error
    kinds = {option.name: option.kind for option in options}
    values = option_lists.read(text, kinds, about)
    take_backing(given, values, given.get("format", "raw"), about)
    if size is not None:
        if "size" in values:
            raise Failure(f"{about}The image size must be specified only once")
        values["size"] = size
    _check_backing(given, values, about)
    backing_size = await _look_at_backing(images, given, filename, values)
    if "size" not in values:
        if backing_size is None:
            raise Failure(f"{about}Image creation needs a size parameter")
        values["size"] = backing_size
    return values


def _check_backing(given: Given, values: dict[str, Value], about: str) -> None:
    if "backing_file" not in values:
        return
    if not values["backing_file"]:
        raise Failure(f"{about}Expected backing file name, got empty string")
    if given.has("backing-unsafe") and "backing_fmt" not in values:
        raise Failure(f"{about}Backing file specified without backing format")


async def _look_at_backing(
    images: Images, given: Given, filename: str, values: dict[str, Value]
) -> int | None:
    """Open the backing file, so that it is known to be there; return its size."""
    stored = values.get("backing_file")
    if not stored:
        return None
    about = f"{filename}: "
    full_name = filenames.full_backing_filename(filename, str(stored))
    if full_name == filename:
        raise Failure(f"{about}Error: Trying to create an image with the same filename as the backing file")
    backing_format = values.get("backing_fmt")
    if given.has("backing-unsafe"):
        return None
    try:
        image = await images.open(
            ImageName(full_name, None if backing_format is None else str(backing_format))
        )
    except CannotOpen as failure:
        raise Failure(f"{about}{failure.reason}\nCould not open backing image.") from failure
    if backing_format is None:
        detected = image.node.driver.format_name
        raise Failure(f"{about}Backing file specified without backing format\nDetected format of {detected}.")
    size = image.size
    await images.close(image)
    return size
