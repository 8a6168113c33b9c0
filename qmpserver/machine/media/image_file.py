"""Open images that are named by a file name and old options, not by ``blockdev-add``."""

import re
from dataclasses import dataclass, replace
from typing import Any

from qmpserver.block import filenames
from qmpserver.block.node import Node
from qmpserver.engine import Engine
from qmpserver.errors import QMPError
from qmpserver.machine.media.drive import Drive


@dataclass(frozen=True, slots=True)
class NextMedium:
    """An image that a client wants put into a drive.

    Attributes:
        filename: The image.
        image_format: Its format, or None to find out.
        read_only_mode: A ``BlockdevChangeReadOnlyMode``.
    """

    filename: str
    image_format: str | None = None
    read_only_mode: str = "retain"


async def open_next(engine: Engine, drive: Drive, wanted: NextMedium) -> Node:
    """Open the image that is to be a drive's next medium, for the caller to become its user.

    Args:
        engine: What opens it.  The graph is locked.
        drive: The drive, whose medium says how, or the one it had before.
        wanted: The image.

    Raises:
        QMPError: It cannot be opened.
    """
    drive.remember_openness()
    openness = drive.openness
    if wanted.read_only_mode != "retain":
        openness = replace(openness, read_only=wanted.read_only_mode == "read-only")
    if wanted.image_format is not None:
        check_known(engine, wanted.image_format)
    named = filenames.filename_options(wanted.filename, wanted.image_format)
    options = {**named, **openness.options}
    return await open_checked(engine, options)


async def open_checked(engine: Engine, options: dict[str, Any]) -> Node:
    """Open a node of options that are yet unchecked; without `driver`, the format is found out.

    Raises:
        QMPError: They are no good, or it cannot be opened.
    """
    return await engine.opener.open_unowned(_checked(engine, options))


def _checked(engine: Engine, options: dict[str, Any]) -> dict[str, Any]:
    described = engine.schema.type("BlockdevOptions")
    try:
        if "driver" in options:
            checked: dict[str, Any] = described.from_image(options)
            return checked
        file = options.get("file")
        return {**options, "file": described.from_image(file) if isinstance(file, dict) else file}
    except QMPError as error:
        raise _in_its_words(engine, error, options) from error


def _in_its_words(engine: Engine, error: QMPError, options: dict[str, Any]) -> QMPError:
    """Return a refusal of options as QEMU words it where they were not given to ``blockdev-add``."""
    if (unknown := _NO_DRIVER.fullmatch(error.description)) is not None:
        return QMPError(f"Unknown driver '{unknown[1]}'")
    if (found := _UNEXPECTED.fullmatch(error.description)) is not None:
        driver, option = _owner(options, found[1])
        if engine.registry.find(driver).is_protocol:
            return QMPError(f"Block protocol '{driver}' doesn't support the option '{option}'")
        return QMPError(f"Block format '{driver}' does not support the option '{option}'")
    if (missing := _MISSING_CHILD.fullmatch(error.description)) is not None:
        return QMPError(f'A block device must be specified for "{missing[1]}"')
    return error


def _owner(options: dict[str, Any], path: str) -> tuple[str, str]:
    """Return the driver that an option is for, and what it calls it."""
    names = path.split(".")
    driver = "raw"
    while "driver" in options:
        driver = options["driver"]
        below = options.get(names[0])
        if len(names) == 1 or not isinstance(below, dict) or "driver" not in below:
            break
        options = below
        names = names[1:]
    return driver, ".".join(names)


_UNEXPECTED = re.compile(r"Parameter '(.*)' is unexpected")
_NO_DRIVER = re.compile(r"Parameter '(?:.*\.)?driver' does not accept value '(.*)'")
_MISSING_CHILD = re.compile(r"Parameter '(?:.*\.)?(file|image)' is missing")


def check_known(engine: Engine, driver: str) -> None:
    """Refuse a driver that there is not.

    Raises:
        QMPError: With QEMU's text.
    """
    try:
        engine.registry.find(driver)
    except QMPError as error:
        raise QMPError(f"Unknown driver '{driver}'") from error
