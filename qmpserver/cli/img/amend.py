"""``img amend``: change options that an image was made with."""

from typing import Any

from qmpserver.cli import option_lists
from qmpserver.cli.command_line import Answer, Failure, Given, table
from qmpserver.cli.images.images import Image, ImageName, Images, cache_mode
from qmpserver.cli.img.amend_options import AMENDABLE
from qmpserver.cli.img.creation_options import FORMATS, options_help, to_members
from qmpserver.cli.img.progress import Progress
from qmpserver.driver_api.extras import SupportsAmend
from qmpserver.errors import QMPError, error_text
from qmpserver.options.flat_options import Value

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
        # QEMU: points to no help here.
        raise Failure("Expecting one image file name")
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
    if image_format not in AMENDABLE:
        raise Failure(f"Format driver '{image_format}' does not support option amendment")
    return options_help(AMENDABLE[image_format], f"Amend options for '{image_format}':")


async def _amend(images: Images, image: Image, text: str, progress: Progress, *, force: bool) -> None:
    driver = image.node.driver
    if not isinstance(driver, SupportsAmend):
        raise Failure(f"Format driver '{driver.format_name}' does not support option amendment")
    values = _values(driver.format_name, text)
    progress.show(0, 1)
    try:
        wanted = _members(images, image, values)
        async with image.node.drained():
            await driver.amend(wanted, images.engine.objects.secret, force=force)
    except QMPError as error:
        raise Failure(error.description) from error
    except OSError as error:
        raise Failure(f"Error while amending options: {error_text(error)}") from error


def _values(image_format: str, text: str) -> dict[str, Value]:
    """Read the options, and refuse those that only a new image has."""
    allowed = {option.name: option.kind for option in AMENDABLE[image_format]}
    creation = {option.name: option.kind for option in FORMATS[image_format]}
    values = option_lists.read(text, {**creation, **allowed}, "")
    for name in values:
        if name not in allowed:
            raise Failure(f"Invalid parameter '{name}'\nThis option is only supported for image creation")
    compat = values.get("compat", "v3")
    if compat not in {"v2", "v3", "0.10", "1.1"}:
        raise Failure(f"Unknown compatibility level {compat}")
    return values


def _members(images: Images, image: Image, values: dict[str, Value]) -> dict[str, Any]:
    """Return the options as the driver takes them, held against the schema."""
    schema, image_format = images.engine.schema, image.node.driver.format_name
    members = to_members(AMENDABLE[image_format], values)
    keyslots = members if image_format == "luks" else members.pop("encrypt", None)
    if (
        image_format == "qcow2"
        and keyslots is not None
        and not image.node.driver.image_info().get("encrypted")
    ):
        raise QMPError("Can't amend encryption options - encryption not present")
    checked: dict[str, Any] = {}
    if keyslots is not None:
        amended = schema.type("BlockdevAmendOptions").from_image({"driver": "luks", **keyslots})
        checked = {name: amended[name] for name in keyslots}
    if image_format == "luks":
        return checked
    described = {"driver": image_format, "file": "", "size": image.size, **members}
    plain = schema.type("BlockdevCreateOptions").from_image(described)
    encrypt = {} if keyslots is None else {"encrypt": {"format": "luks", **checked}}
    return {name: plain[name] for name in members} | encrypt
