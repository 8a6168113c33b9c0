"""Say what is to be opened: an image by its name, its options, and the modes of the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qmpserver.cli.images.images import ImageName
from qmpserver.errors import QMPError
from qmpserver.options.cache_modes import WRITEBACK, CacheMode, cache_mode
from qmpserver.options.host_modes import AIO_MODES, DISCARD_MODES
from qmpserver.options.option_list import nested
from qmpserver.options.protocols import name_protocols


@dataclass(slots=True)
class Wanted:
    """An image that is to be opened.

    Attributes:
        filename: Its name, or None when the options say it all.
        options: Options by their dotted names.
        read_only: It will not be written.
        temporary: What is written goes to a temporary overlay, and is lost.
        copy_on_read: What is read from below is stored in it.
        force_share: Others may write it meanwhile.
        cache: How it is cached.
        discard: Discards give space back.
        aio: How the host does its requests, or None.
    """

    filename: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    read_only: bool = False
    temporary: bool = False
    copy_on_read: bool = False
    force_share: bool = False
    cache: CacheMode = WRITEBACK
    discard: bool = True
    aio: str | None = None

    def take_modes(self, given: Mapping[str, str | None]) -> None:
        """Take over modes that were given by name: `cache`, `discard`, `aio`.

        Raises:
            QMPError: There is none of a name.
        """
        if (cache := given.get("cache")) is not None:
            self.cache = cache_mode(cache)
        if (discard := given.get("discard")) is not None:
            if discard not in DISCARD_MODES:
                raise QMPError(f"Invalid discard option: {discard}")
            self.discard = DISCARD_MODES[discard] == "unmap"
        if (aio := given.get("aio")) is not None:
            if aio not in AIO_MODES:
                raise QMPError(f"Invalid aio option: {aio}")
            self.aio = aio


def options_of(wanted: Wanted) -> dict[str, Any]:
    """Return the options of the image, yet unchecked."""
    given = nested(wanted.options)
    if wanted.filename is None and "driver" not in given and "file" not in given:
        raise QMPError("Must specify either driver or file")
    name = ImageName(
        wanted.filename or "",
        given.get("driver"),
        cache=wanted.cache,
        writable=not wanted.read_only and not wanted.temporary,
        force_share=wanted.force_share,
    )
    options = {"discard": "unmap" if wanted.discard else "ignore", **name.options()}
    if wanted.filename is None:
        options = {key: value for key, value in options.items() if key not in {"driver", "file", "filename"}}
    else:
        file = given.pop("file", {})
        if not isinstance(file, dict) or "filename" in file:
            raise QMPError("Can't specify 'file' and 'filename' options at the same time")
        if file:
            options["file"] = _with_options(options.get("file", {}), file)
    cache = {**options["cache"], **given.pop("cache", {})}
    options = {**options, "cache": cache, **given}
    name_protocols(options)
    return options


def _with_options(named: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a protocol node that is named by a file name, and has other options too."""
    if given.get("driver") == "blkdebug" != named.get("driver"):
        return {"image": named, **given}
    return {**named, **given}
