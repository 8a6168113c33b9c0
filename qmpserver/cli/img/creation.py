"""Make new images from the options that ``-o`` gives."""

import contextlib
import errno
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

from qmpserver.block import filenames
from qmpserver.block.backend import BlockBackend
from qmpserver.cli.command_line import Failure, Given
from qmpserver.cli.img.creation_options import FORMATS, CreationOption, to_members
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.device_probing import device_driver
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.extras import SupportsCreate, SupportsCreateFile
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.engine import DRIVERS, Engine
from qmpserver.errors import QMPError, error_text
from qmpserver.options.flat_options import Value
from qmpserver.units import SECTOR_SIZE, align_up

_HELD = PermissionSet(Permission.CONSISTENT_READ | Permission.WRITE | Permission.RESIZE, PERM_ALL)


def options_of(image_format: str, about: str = "") -> tuple[CreationOption, ...]:
    """Return the options that images of a format are made with.

    Args:
        image_format: The format.
        about: What stands before a message.

    Raises:
        Failure: There is no such format, or no new images can be made of it.
    """
    if image_format in FORMATS:
        return FORMATS[image_format]
    if image_format in DRIVERS:
        raise Failure(f"{about}Format driver '{image_format}' does not support image creation")
    raise Failure(f"{about}Unknown file format '{image_format}'")


def take_backing(given: Given, values: dict[str, Value], image_format: str, about: str = "") -> None:
    """Take over the backing file and its format, where options of their own name them.

    Args:
        given: The command line.
        values: The options by their names in ``-o``, which are added to.
        image_format: The new image's format.
        about: What stands before a message.

    Raises:
        Failure: Images of that format lie over no other.
    """
    names = {option.name for option in FORMATS[image_format]}
    for option, name, what in (
        ("backing", "backing_file", "file"),
        ("backing-format", "backing_fmt", "file format"),
    ):
        wanted = given.last(option)
        if wanted is None:
            continue
        if name not in names:
            raise Failure(f"{about}Backing {what} not supported for file format '{image_format}'")
        values[name] = wanted


class NewImage(NamedTuple):
    """An image to be made.

    Attributes:
        filename: Where.
        image_format: Its format.
        values: The options by their names in ``-o``, `size` among them.
    """

    filename: str
    image_format: str
    values: Mapping[str, Value]

    async def make(self, engine: Engine) -> None:
        """Make it; what fails leaves no new file behind.

        Raises:
            QMPError: An option cannot be had.
            OSError: A file cannot be written.
        """
        driver_class = engine.registry.find(self.image_format)
        protocol_options = filenames.protocol_options(self.filename)
        protocol = engine.registry.find(protocol_options["driver"])
        size = align_up(int(self.values["size"]), SECTOR_SIZE)
        members = self.members(engine, size)
        if not issubclass(protocol, SupportsCreateFile):
            await self._make_in_existing(engine, driver_class, members, protocol.format_name)
            return
        of_file = self._of_file(protocol_options["filename"])
        if not issubclass(driver_class, SupportsCreate):
            await protocol.create_file({**of_file, "size": size})
            return
        made = [protocol_options["filename"]]
        await protocol.create_file({**of_file, "size": 0})
        try:
            made += await self._make_data_file(protocol, members)
            await self._format(engine, driver_class, members)
        except BaseException:
            for filename in made:
                _unlink(filename)
            raise

    async def _make_in_existing(
        self, engine: Engine, driver_class: type[BlockDriver], members: dict[str, Any], protocol: str
    ) -> None:
        """Make it in what is there already, where the protocol cannot make anything new."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                file = await stack.enter_async_context(_file(engine, self.filename))
            except QMPError as error:
                raise error.within(
                    f"Protocol driver '{protocol}' does not support creating new images, so an existing image must "
                    "be selected as the target; however, opening the given target as an existing image failed: "
                ) from error
            if issubclass(driver_class, SupportsCreate):
                await driver_class.create(file, members, engine.objects.secret)
                return
            with contextlib.suppress(OSError):
                await file.truncate(members["size"])
            if file.size < members["size"]:
                raise QMPError(f"The image file '{self.filename}' is too small for the image")
            # So that what was there before is not taken for the new image.
            await file.pwrite_zeroes(0, min(SECTOR_SIZE, file.size))

    def _of_file(self, filename: str) -> dict[str, Any]:
        options = tuple(option for option in FORMATS[self.image_format] if option.of_file)
        return {"filename": filename, **to_members(options, self.values)}

    def members(self, engine: Engine, size: int) -> dict[str, Any]:
        """Return the format's own options as ``BlockdevCreateOptions`` has them.

        Raises:
            QMPError: One cannot be had.
        """
        options = tuple(option for option in FORMATS[self.image_format] if not option.of_file)
        members = {**to_members(options, self.values), "size": size}
        if members.pop("encryption", False):
            if "format" in members.get("encrypt", {}):
                raise QMPError("'encrypt.format' and its alias 'encryption' can't be used at the same time")
            members.setdefault("encrypt", {})["format"] = "qcow"
        ours: dict[str, Any] = {
            name: members.pop(name) for name in ("keep-data-file", "detached-header") if name in members
        }
        if self.image_format in {"raw", "file"}:
            _check_preallocation(self.values)
        if "encrypt" in members and "format" not in members["encrypt"]:
            raise QMPError("Parameter 'encrypt.format' is missing")
        # A size is what it has to be already.
        if self.image_format not in {"raw", "file"} and members.keys() != {"size"}:
            described = engine.schema.type("BlockdevCreateOptions")
            members = described.from_image({"driver": self.image_format, "file": "", **members})
            del members["driver"], members["file"]
        return {**members, **ours}

    async def _make_data_file(self, protocol: type[SupportsCreateFile], members: dict[str, Any]) -> list[str]:
        """Make the file that guest data goes to, if there is to be one anew; return which were made."""
        keeps_it = members.pop("keep-data-file", False)
        data_file = members.get("data-file")
        if keeps_it and data_file is None:
            raise QMPError("Must not use 'keep_data_file=on' without 'data_file'")
        if data_file is None or keeps_it:
            return []
        await protocol.create_file({"filename": data_file, "size": 0})
        return [str(data_file)]

    async def _format(
        self, engine: Engine, driver_class: type[SupportsCreate], members: dict[str, Any]
    ) -> None:
        async with contextlib.AsyncExitStack() as stack:
            data_file = members.get("data-file")
            if data_file is not None:
                members["data-file"] = await stack.enter_async_context(_file(engine, data_file))
            file = await stack.enter_async_context(_file(engine, self.filename))
            if members.pop("detached-header", False):
                from qmpserver.drivers.luks import LuksDriver  # noqa: PLC0415 - loads the ciphers

                await LuksDriver.create(None, {**members, "header": file}, engine.objects.secret)
            else:
                await driver_class.create(file, members, engine.objects.secret)


def _unlink(filename: str) -> None:
    """Remove a file that was made; a device stays."""
    with contextlib.suppress(OSError):
        if device_driver(filename) is None:
            os.unlink(filename)


def _check_preallocation(values: Mapping[str, Value]) -> None:
    wanted = values.get("preallocation", "off")
    if wanted not in {mode.value for mode in Preallocation}:
        raise QMPError(f"invalid parameter value: {wanted}")


def key_secrets(values: Mapping[str, Value]) -> dict[str, str]:
    """Return of the options that an image was made with those that name the secrets which open it."""
    return {name: str(value) for name, value in values.items() if name.endswith("key-secret")}


@contextlib.asynccontextmanager
async def _file(engine: Engine, filename: str) -> AsyncIterator[BlockChild]:
    """Use a file for the time."""
    backend = BlockBackend(engine.graph)
    async with engine.graph.lock:
        node = await engine.opener.open_unowned(filenames.protocol_options(filename))
        try:
            await backend.insert(node, _HELD)
        except BaseException:
            await engine.graph.discard(node)
            raise
    try:
        assert backend.root is not None
        yield backend.root
    finally:
        async with engine.graph.lock:
            await backend.remove()


async def make(engine: Engine, image: NewImage, about: str) -> None:
    """Make an image, and put into words why it cannot be.

    Raises:
        Failure: It cannot be made.
    """
    try:
        await image.make(engine)
    except QMPError as error:
        if error.description.endswith(os.strerror(errno.EFBIG)):
            raise Failure(_too_large(image, about)) from error
        raise Failure(f"{about}{error.description}", below=error.hint) from error
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise Failure(_too_large(image, about)) from error
        raise Failure(f"{about}{error.strerror or error_text(error)}") from error


def _too_large(image: NewImage, about: str) -> str:
    advice = " (try using a larger cluster size)" if image.image_format == "qcow2" else ""
    return f"{about}The image size is too large for file format '{image.image_format}'{advice}"
