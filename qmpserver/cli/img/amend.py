"""``img amend``: change options that an image was made with."""

from qmpserver.cli.img import option_lists
from qmpserver.cli.img.command_line import Answer, Failure, Given, expecting, table
from qmpserver.cli.img.creation_options import FORMATS, amendable, options_help, to_members
from qmpserver.cli.img.images import Image, ImageName, Images, cache_mode
from qmpserver.cli.img.progress import Progress
from qmpserver.driver_api.extras import SupportsAmend
from qmpserver.errors import QMPError, error_text

OPTIONS = table(
    "o=options f=format t=cache p=progress q=quiet",
    {
        "options": True,
        "format": True,
        "image-opts": False,
        "cache": True,
        "force": False,
        "progress": False,
        "quiet": False,
    },
)

HELP = """\
Usage: {invoked} -o OPTIONS [-f FORMAT | --image-opts] [options] FILE
Change options that an image was made with.

  -o, --options OPTIONS  the new values, name=value,...; "-o help" lists what can be changed
  -f, --format FORMAT    do not find out the format but take this one
  --image-opts           FILE is a list of options (key=value,...)
  -t, --cache MODE       open the image in this cache mode
  --force                also make changes after which the image may be lost
  -p, --progress         show how far it has come
  -q, --quiet            print errors only
  --object OBJECT        create an object that the image needs
"""


async def run(given: Given) -> int:
    """Change the options."""
    if not given.has("options"):
        raise Failure("Must specify options (-o)", hint=True)
    text = option_lists.join(given.all("options"))
    asks = option_lists.wants_help(text)
    image_format = given.last("format")
    if asks and image_format is not None:
        raise Answer(_help(image_format))
    if len(given.operands) != 1:
        expecting("one image file name")
    cache = cache_mode(given, "cache")
    progress = Progress(is_wanted=given.has("progress") and not given.has("quiet"))
    async with Images(given) as images:
        image = await images.open(ImageName.of(given, given.operands[0], cache=cache, writable=True))
        if asks:
            raise Answer(_help(image.node.driver.format_name))
        await _amend(images, image, text, progress, force=given.has("force"))
        progress.end()
    return 0


def _help(image_format: str) -> str:
    if image_format not in FORMATS or not amendable(image_format):
        raise Failure(f"Format driver '{image_format}' does not support option amendment")
    return options_help(amendable(image_format), f"Amend options for '{image_format}':")


async def _amend(images: Images, image: Image, text: str, progress: Progress, *, force: bool) -> None:
    driver = image.node.driver
    if not isinstance(driver, SupportsAmend):
        raise Failure(f"Format driver '{driver.format_name}' does not support option amendment")
    options = FORMATS[driver.format_name]
    kinds = {option.name: option.kind for option in options}
    values = option_lists.read(text, kinds, "")
    allowed = amendable(driver.format_name)
    for name in values:
        if name not in {option.name for option in allowed}:
            raise Failure(f"Invalid parameter '{name}'\nThis option is only supported for image creation")
    compat = values.get("compat", "v3")
    if compat not in {"v2", "v3", "0.10", "1.1"}:
        raise Failure(f"Unknown compatibility level {compat}")
    members = to_members(allowed, values)
    progress.show(0, 1)
    try:
        described = images.engine.schema.type("BlockdevCreateOptions")
        checked = described.from_image(
            {"driver": driver.format_name, "file": "", "size": image.size, **members}
        )
        wanted = {name: value for name, value in checked.items() if name in members}
        async with image.node.drained():
            await driver.amend(wanted, images.engine.objects.secret, force=force)
    except QMPError as error:
        raise Failure(error.description) from error
    except OSError as error:
        raise Failure(f"Error while amending options: {error_text(error)}") from error
