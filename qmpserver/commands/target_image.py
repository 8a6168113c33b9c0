"""Make and open the image that a job is to write, given by its file's name."""

from dataclasses import dataclass
from typing import Any

from qmpserver.block import filenames
from qmpserver.block.node import Node
from qmpserver.daemon import Daemon
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.extras import SupportsCreate, SupportsCreateFile
from qmpserver.driver_api.permissions import ChildRole
from qmpserver.errors import QMPError, error_text


@dataclass(frozen=True, slots=True)
class TargetImage:
    """An image that a client names by its file.

    Attributes:
        filename: The file.
        image_format: Its format, or None to guess it from the content.
        is_existing: It is taken as it is; otherwise it is made.
        backing: What a new image names as its backing file, or None.
    """

    filename: str
    image_format: str | None
    is_existing: bool
    backing: Node | None


async def open_target(
    daemon: Daemon, source: Node, image: TargetImage, *, takes_source_as_backing: bool
) -> Node:
    """Open the image, made before unless it exists, for the caller to use.  The graph is locked.

    Args:
        daemon: Whose graph it is.
        source: What is to be copied; the size of a new image, and how its file is cached, are the same.
        image: The image.
        takes_source_as_backing: The image is opened over `source`, whatever it names as its backing file.

    Raises:
        QMPError: It cannot be made or opened.  A new image may remain, as one of QEMU's does.
    """
    file = filenames.protocol_options(image.filename)
    if not image.is_existing:
        await create_target(daemon, source, image)
    cache = {"direct": source.flags.direct, "no-flush": source.flags.no_flush}
    options: dict[str, Any] = {"file": file, "cache": cache, "discard": "unmap", "detect-zeroes": "unmap"}
    if image.image_format is not None:
        options["driver"] = image.image_format
    if takes_source_as_backing:
        options["backing"] = None
    target = await daemon.opener.open_unowned(options)
    if takes_source_as_backing:
        try:
            await _put_over(daemon, target, source)
        except BaseException:
            await daemon.graph.discard(target)
            raise
    return target


async def create_target(daemon: Daemon, source: Node, image: TargetImage) -> None:
    """Make the image, of the source's size.  The graph is locked.

    Raises:
        QMPError: It cannot be made.
    """
    assert image.image_format is not None
    driver = _creatable(daemon, image.image_format)
    filename = _creatable_filename(daemon, image.filename)
    options: dict[str, Any] = {"size": source.size}
    if image.backing is not None:
        if not driver.supports_backing:
            raise QMPError(f"Backing file not supported for file format '{image.image_format}'")
        # QEMU: it stores a relative name as it is, which leads astray from another folder.
        name = filenames.relative_to_store(image.filename, filenames.filename_of(image.backing))
        options |= {"backing-file": name, "backing-fmt": image.backing.driver.format_name}
    try:
        if issubclass(driver, SupportsCreate):
            await daemon.create_image(filename, image.image_format, options, is_locked=True)
        else:
            await _create_plain(daemon, filename, source.size)
    except OSError as error:
        raise QMPError(f"Could not create '{image.filename}': {error_text(error)}") from error


def _creatable(daemon: Daemon, image_format: str) -> type[BlockDriver]:
    if image_format not in daemon.registry.names():
        raise QMPError(f"Unknown file format '{image_format}'")
    driver = daemon.registry.find(image_format)
    if not issubclass(driver, SupportsCreate) and image_format != "raw":
        raise QMPError(f"Format driver '{image_format}' does not support image creation")
    return driver


def _creatable_filename(daemon: Daemon, name: str) -> str:
    """Return the path of the file that an image is to be kept in."""
    protocol = filenames.protocol_options(name)
    if not issubclass(daemon.registry.find(protocol["driver"]), SupportsCreateFile):
        raise QMPError(f"Protocol driver '{protocol['driver']}' does not support image creation")
    filename: str = protocol["filename"]
    return filename


async def _create_plain(daemon: Daemon, filename: str, size: int) -> None:
    """Make a raw image, which is a file of the image's size and nothing else, or a device that has room for it."""
    protocol = daemon.registry.find(filenames.path_options(filename)["driver"])
    assert issubclass(protocol, SupportsCreateFile)
    await protocol.create_file({"filename": filename, "size": size})


async def _put_over(daemon: Daemon, target: Node, source: Node) -> None:
    if not target.driver.supports_backing:
        raise QMPError(
            f"Driver '{target.driver.format_name}' of node '{target.node_name}' does not support backing files"
        )
    daemon.graph.check_acyclic(target, "backing", source)
    edge = daemon.graph.attach(target, "backing", source, ChildRole.COW)
    try:
        await daemon.graph.refresh(target)
    except BaseException:
        daemon.graph.detach(edge)
        raise
