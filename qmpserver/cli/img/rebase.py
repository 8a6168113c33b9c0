"""``img rebase``: change the backing file of an image."""

import errno
import os

from qmpserver.block import chain, filenames
from qmpserver.block.draining import run_drained
from qmpserver.block.node import Node
from qmpserver.cli.command_line import Failure, Given, expecting, table
from qmpserver.cli.images.images import CannotOpen, Image, ImageName, Images, cache_mode
from qmpserver.cli.img.progress import Progress
from qmpserver.cli.img.rebasing import Rebasing
from qmpserver.driver_api.extras import SupportsBackingFile
from qmpserver.engine import DRIVERS
from qmpserver.errors import error_text

OPTIONS = table(
    "f=format t=cache b=backing B=backing-format F=backing-format T=backing-cache u=backing-unsafe c=compress "
    "U=force-share p=progress q=quiet",
    {
        "format": True,
        "image-opts": False,
        "cache": True,
        "backing": True,
        "backing-format": True,
        "backing-cache": True,
        "backing-unsafe": False,
        "compress": False,
        "force-share": False,
        "progress": False,
        "quiet": False,
    },
)

HELP = """\
Usage: {invoked} [-f FORMAT | --image-opts] -b FILE [options] FILE
Change the backing file of an image; what the image shows stays the same.

  -f, --format FORMAT          do not find out the format but take this one
  --image-opts                 FILE is a list of options (key=value,...)
  -t, --cache MODE             open the image in this cache mode
  -b, --backing FILE           the new backing file; "" for none
  -B, --backing-format FORMAT  its format
  -T, --backing-cache MODE     open the backing files in this cache mode
  -u, --backing-unsafe         look at no backing file, only store the name: what the image shows may change
  -c, --compress               store compressed what has to be taken over from the old backing file
  -U, --force-share            others may write the new backing file meanwhile
  -p, --progress               show how far it has come
  -q, --quiet                  print errors only
  --object OBJECT              create an object that the images need
"""


async def run(given: Given) -> int:
    """Change the backing file."""
    is_unsafe, backing = given.has("backing-unsafe"), given.last("backing")
    if len(given.operands) != 1:
        expecting("one image file name")
    if backing is None and not is_unsafe:
        raise Failure("Must specify backing file (-b) or use unsafe mode (-u)", hint=True)
    cache = cache_mode(given, "cache")
    cache_mode(given, "backing-cache", "source cache option")
    # QEMU: -U is about the new backing file; the image is written.
    name = ImageName.of(given, given.operands[0], cache=cache, writable=True)._replace(force_share=False)
    backing_format = given.last("backing-format")
    progress = Progress(is_wanted=given.has("progress") and not given.has("quiet"))
    async with Images(given) as images:
        image = await images.open(name, with_backing=not is_unsafe)
        if backing_format is not None and backing_format not in DRIVERS:
            raise Failure(f"Invalid format name: '{backing_format}'")
        progress.show(0, 1)
        if not is_unsafe:
            above, new = await _new_backing(images, given, image)
            rebasing = Rebasing(image.node, new, progress, is_compressed=given.has("compress"))
            await rebasing.run(None if above is None else above.node_name)
        await _store(image.node, backing or "", backing_format)
        progress.end()
    return 0


async def _new_backing(images: Images, given: Given, image: Image) -> tuple[Node | None, Node | None]:
    """Return the new backing node, or None for none; before it, what is right above it if it is in the chain."""
    wanted = given.last("backing")
    if not wanted:
        return None, None
    own_name = filenames.image_filename_of(image.node) or image.name.text
    full_name = filenames.full_backing_filename(own_name, wanted)
    found = chain.find_backing_image(image.node, full_name)
    if found is not None:
        above = next(node for node in chain.nodes(image.node) if node.backing is found)
        return above, found
    name = ImageName(
        full_name,
        given.last("backing-format"),
        cache=cache_mode(given, "backing-cache", "source cache option"),
        force_share=given.has("force-share"),
    )
    try:
        return None, (await images.open(name)).node
    except CannotOpen as failure:
        raise Failure(f"Could not open new backing file '{wanted}': {failure.reason}") from failure


async def _store(node: Node, backing: str, backing_format: str | None) -> None:
    """Store the backing file's name, durably, after everything that was written."""
    failed = f"Could not change the backing file to '{backing}': "
    if backing and backing_format is None:
        raise Failure(f"{failed}backing format must be specified")
    driver = node.driver
    if not isinstance(driver, SupportsBackingFile):
        raise Failure(f"{failed}{os.strerror(errno.ENOTSUP)}")

    async def store() -> None:
        await driver.change_backing_file(backing or None, backing_format if backing else None)

    try:
        await node.flush()
        await run_drained((node,), store)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise Failure(f"{failed}No space left in the file header") from error
        raise Failure(f"{failed}{error_text(error)}") from error
