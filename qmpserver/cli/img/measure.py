"""``img measure``: say how large the file of a new image would be."""

from typing import Any

from qmpserver.block.extents import extents
from qmpserver.block.node import Node
from qmpserver.cli import option_lists
from qmpserver.cli.command_line import Failure, Given, Tool, table
from qmpserver.cli.images.images import Image, ImageName, Images
from qmpserver.cli.img.creation import NewImage
from qmpserver.cli.img.creation_options import FORMATS
from qmpserver.cli.img.snapshot_choice import load_snapshot, wanted_snapshot
from qmpserver.cli.json_text import write_json
from qmpserver.cli.numbers import size_of
from qmpserver.driver_api.bitmaps import StoredBitmap, SupportsBitmaps
from qmpserver.driver_api.measuring import Contents, Measurement, SupportsMeasure
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.engine import DRIVERS
from qmpserver.errors import QMPError, error_text
from qmpserver.units import SECTOR_SIZE, align_down, align_up

OPTIONS = table(
    "f=format l=snapshot O=target-format o=target-format-options U=force-share s=size",
    {
        "format": True,
        "image-opts": False,
        "snapshot": True,
        "target-format": True,
        "target-format-options": True,
        "output": True,
        "force-share": False,
        "size": True,
    },
)

HELP = """\
Usage: {invoked} [options] (--size SIZE | [-f FORMAT | --image-opts] FILE)
Say how large the file of a new image would be that is to hold what FILE shows, or nothing yet.

  -s, --size SIZE             measure an empty image of that size
  -f, --format FORMAT         do not find out the format of FILE but take this one
  --image-opts                FILE is a list of options (key=value,...)
  -l, --snapshot SNAPSHOT     measure for this internal snapshot of FILE
  -O, --target-format FORMAT  the new image's format (raw when not given)
  -o OPTIONS                  options for the new image
  --output human|json         how to print
  -U, --force-share           others may write FILE meanwhile
  --object OBJECT             create an object that the images need
"""


async def run(given: Given) -> int:
    """Measure."""
    as_json = given.wants_json
    wanted = given.last("size")
    size = None if wanted is None else size_of("image size", wanted)
    text = option_lists.join(given.all("target-format-options"))
    snapshot = wanted_snapshot(given)
    _check(given, size)
    async with Images(given) as images:
        image = None
        if size is None:
            image = await images.open(ImageName.of(given, given.operands[0]))
            await load_snapshot(snapshot, [image])
        target_format = given.get("target-format", "raw")
        driver = _driver(images, target_format)
        options = _options(given.tool, images, text, target_format, size or 0)
        contents = None if image is None else _contents(image)
        try:
            measured = await driver.measure(options, contents, images.engine.objects.secret)
        except QMPError as error:
            raise Failure(error.description) from error
        except OSError as error:
            raise Failure(f"Unable to get block status: {error_text(error)}") from error
    print(write_json(_members(measured)) if as_json else "\n".join(_lines(measured)))
    return 0


def _check(given: Given, size: int | None) -> None:
    """Refuse options that do not fit together, in QEMU's order."""
    if len(given.operands) > 1:
        raise Failure("At most one filename argument is allowed.")
    if not given.operands and any(map(given.has, ("image-opts", "format", "snapshot"))):
        raise Failure("--image-opts, -f, and -l require a filename argument.")
    if not given.operands and size is None:
        raise Failure("Either --size N or one filename must be specified.")
    if given.operands and size is not None:
        raise Failure("--size N cannot be used together with a filename.")


def _driver(images: Images, target_format: str) -> type[SupportsMeasure]:
    if target_format not in DRIVERS:
        raise Failure(f"Unknown file format '{target_format}'")
    driver = images.engine.registry.find(target_format)
    if not issubclass(driver, SupportsMeasure):
        raise Failure(f"Block driver '{target_format}' does not support size measurement")
    return driver


def _options(tool: Tool, images: Images, text: str, target_format: str, size: int) -> dict[str, Any]:
    """Return the new image's options, held against the schema."""
    kinds = {option.name: option.kind for option in FORMATS[target_format]}
    try:
        if option_lists.wants_help(text):
            raise Failure("Invalid parameter 'help'")
        values = option_lists.read(text, kinds, "")
    except Failure as failure:
        failure.message += f"\n{tool.name}: Invalid options for file format '{target_format}'"
        raise
    values["size"] = size
    preallocation = values.get("preallocation", "off")
    if target_format == "qcow2" and preallocation not in {mode.value for mode in Preallocation}:
        raise Failure(f"invalid parameter value: {preallocation}")
    try:
        if target_format == "raw":
            values.pop("preallocation", None)
        return NewImage("", target_format, values).members(images.engine, align_up(size, SECTOR_SIZE))
    except QMPError as error:
        raise Failure(error.description) from error


def _contents(image: Image) -> Contents:
    node = image.node
    bitmaps = None
    if isinstance(node.driver, SupportsBitmaps) and node.driver.can_hold_bitmaps:
        bitmaps = tuple(
            StoredBitmap(bitmap.name, bitmap.granularity, bitmap.is_enabled)
            for bitmap in node.dirty_bitmaps
            if bitmap.name is not None and bitmap.is_persistent and not bitmap.is_inconsistent
        )

    async def count_data(unit: int) -> int:
        return await _count_data(node, unit)

    return Contents(node.size, count_data, bitmaps)


async def _count_data(node: Node, unit: int) -> int:
    """Return how many bytes the whole units take that hold data, whichever layer it is in."""
    counted = end = 0
    async for found in extents(node, 0, node.size):
        offset = found.offset
        for status in found.statuses:
            stop = offset + status.length
            if status.is_data and not status.is_zero:
                start = max(align_down(offset, unit), end)
                end = max(align_up(stop, unit), end)
                counted += max(end - start, 0)
            offset = stop
    return counted


def _members(measured: Measurement) -> dict[str, Any]:
    """Shape a measurement as ``BlockMeasureInfo``."""
    members = {"required": measured.required, "fully-allocated": measured.fully_allocated}
    return members if measured.bitmaps is None else {**members, "bitmaps": measured.bitmaps}


def _lines(measured: Measurement) -> list[str]:
    lines = [f"required size: {measured.required}", f"fully allocated size: {measured.fully_allocated}"]
    return lines if measured.bitmaps is None else [*lines, f"bitmaps size: {measured.bitmaps}"]
