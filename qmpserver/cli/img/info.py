"""``img info``: describe an image, or a whole backing chain."""

from collections.abc import AsyncIterator
from typing import Any

from qmpserver.block import filenames
from qmpserver.block import info as node_info
from qmpserver.block.info_text import image_text
from qmpserver.block.node import Node
from qmpserver.block.snapshot_list import snapshot_members
from qmpserver.cli.command_line import Failure, Given, expecting, table
from qmpserver.cli.images.images import ImageName, Images, cache_mode
from qmpserver.cli.json_text import write_json
from qmpserver.driver_api.extras import SupportsSnapshots

OPTIONS = table(
    "f=format t=cache U=force-share",
    {
        "format": True,
        "image-opts": False,
        "backing-chain": False,
        "cache": True,
        "force-share": False,
        "limits": False,
        "output": True,
    },
)

HELP = """\
Usage: {invoked} [-f FORMAT | --image-opts] [options] FILE
Describe an image: its format, its sizes, what backs it, and what its format says of it.

  -f, --format FORMAT   do not find out the format but take this one
  --image-opts          FILE is a list of options (key=value,...)
  --backing-chain       describe the images below as well
  -t, --cache MODE      open the image in this cache mode
  -U, --force-share     others may write the image meanwhile
  --limits              show what requests the image can take
  --output human|json   how to print
  --object OBJECT       create an object that the image needs
"""


async def run(given: Given) -> int:
    """Describe the image."""
    as_json = given.wants_json
    if len(given.operands) != 1:
        expecting("one image file name")
    name = ImageName.of(given, given.operands[0], cache=cache_mode(given, "cache"))
    has_limits = given.has("limits")
    async with Images(given) as images:
        chain = [node async for node in _described(images, name, whole=given.has("backing-chain"))]
    if not has_limits:
        for info in chain:
            _leave_out_limits(info)
    if as_json:
        print(write_json(chain if given.has("backing-chain") else chain[0]))
    else:
        print("\n\n".join(image_text(info) for info in chain))
    return 0


async def _described(images: Images, name: ImageName, *, whole: bool) -> AsyncIterator[dict[str, Any]]:
    """Describe an image, and those below it: each is opened by itself, as its overlay names it."""
    seen: set[str] = set()
    following: ImageName | None = name
    while following is not None:
        if following.text in seen:
            raise Failure(f"Backing file '{following.text}' creates an infinite loop.")
        seen.add(following.text)
        image = await images.open(following, with_backing=False)
        info = await _describe(image.node)
        yield info
        below = info.get("full-backing-filename") if whole else None
        following = None
        if below is not None:
            image_format = info.get("backing-filename-format")
            following = name._replace(text=below, image_format=image_format, is_options=False)


async def _describe(node: Node) -> dict[str, Any]:
    """Shape a node and all that it is stored in as ``BlockGraphInfo``."""
    sizes = await node_info.allocated_sizes([node, *_stored_in(node)])
    file = node.children.get("file")
    if "data-file" in node.children and file is not None and file.node_name in sizes:
        # QEMU: it opens no data file only to describe the image.
        sizes[node.node_name] = sizes[file.node_name]
    return _shape(node, sizes)


def _stored_in(node: Node) -> list[Node]:
    found: list[Node] = []
    for name, edge in node.children.items():
        if name != "backing":
            found += [edge.node, *_stored_in(edge.node)]
    return found


def _shape(node: Node, sizes: node_info.Sizes) -> dict[str, Any]:
    info = node_info.image_info(node, sizes, flat=True)
    info["filename"] = filenames.image_filename_of(node) or info["filename"]
    driver = node.driver
    if isinstance(driver, SupportsSnapshots) and driver.snapshots:
        info["snapshots"] = [snapshot_members(snapshot) for snapshot in driver.snapshots]
    info["children"] = [
        {"name": name, "info": _shape(edge.node, sizes)}
        for name, edge in node.children.items()
        if name not in {"backing", "data-file"}
    ]
    return info


def _leave_out_limits(info: dict[str, Any]) -> None:
    info.pop("limits", None)
    for child in info["children"]:
        _leave_out_limits(child["info"])
