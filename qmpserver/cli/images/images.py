"""Open images by the names that stand on the command line."""

import re
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from qmpserver.block import filenames
from qmpserver.block.backend import BlockBackend
from qmpserver.block.node import Node
from qmpserver.cli.command_line import Answer, Failure, Given
from qmpserver.cli.probing import warn_of_probing
from qmpserver.clock import SystemClock
from qmpserver.driver_api.flags import FUA
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.engine import Engine
from qmpserver.errors import QMPError, error_text
from qmpserver.options.cache_modes import MODES, WRITEBACK, CacheMode
from qmpserver.options.protocols import name_protocols

if TYPE_CHECKING:  # see `_load_schema`
    from qmpserver.schema.model import Schema

_UNEXPECTED = r"Parameter '(?:.*\.)?([^'.]*)' is unexpected"
_NO_DRIVER = r"Parameter '(?:.*\.)?driver' does not accept value '(.*)'"

_PLAIN_FORMATS = (None, "raw", "qcow2")
"""Formats, one of them to be found out, of which nothing has to be given besides the file."""


class ImageName(NamedTuple):
    """An image as it is named, and how it is to be opened.

    Attributes:
        text: What the user wrote.
        image_format: Its format, or None to find out.
        is_options: The text is an option string, not a file name.
        cache: How it is cached.
        writable: It will be written.
        force_share: Others may write it meanwhile.
        discard: Discards and zeroes may give space back.
        key_secrets: The secrets that open it, by the dotted names of their options.
    """

    text: str
    image_format: str | None = None
    is_options: bool = False
    cache: CacheMode = WRITEBACK
    writable: bool = False
    force_share: bool = False
    discard: bool = False
    key_secrets: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def of(cls, given: Given, text: str, *, cache: CacheMode = WRITEBACK, writable: bool = False) -> Self:
        """Return the name of an image that ``-f``, ``--image-opts`` and ``-U`` are about.

        Raises:
            Failure: They contradict each other.
        """
        if given.has("image-opts") and given.has("format"):
            raise Failure("--image-opts and --format are mutually exclusive")
        return cls(
            text,
            given.last("format"),
            given.has("image-opts"),
            cache,
            writable,
            given.has("force-share"),
        )

    @property
    def is_plain(self) -> bool:
        """Whether its options are our own words throughout, and need not be held against the schema."""
        is_path = not (self.is_options or filenames.has_protocol(self.text))
        return is_path and self.image_format in _PLAIN_FORMATS and not self.key_secrets

    def options(self) -> dict[str, Any]:
        """Return what opens it, as ``blockdev-add`` takes it, yet unchecked.

        Raises:
            QMPError: The text cannot be understood.
        """
        if self.is_options:
            from qmpserver.options import keyval  # noqa: PLC0415 - few images are named so

            options: dict[str, Any] = dict(keyval.parse(self.text).tree)
            if "driver" not in options and "file" not in options:
                raise QMPError("Must specify either driver or file")
            name_protocols(options)
        else:
            _check_json(self.text)
            options = _of_filename(self.text, self.image_format)
        for name, secret_id in self.key_secrets.items():
            *path, last = name.split(".")
            place = options
            for part in path:
                place = place.setdefault(part, {})
            place[last] = secret_id
        common: dict[str, Any] = {"read-only": not self.writable, "cache": self.cache.options}
        if self.force_share:
            common["force-share"] = True
        if self.discard:
            common["discard"] = "unmap"
        return {**common, **options}


def _of_filename(text: str, image_format: str | None) -> dict[str, Any]:
    """Return the options that a file name means; a format that is a protocol needs no file below it."""
    options = filenames.filename_options(text, image_format)
    if text.startswith("json:") and image_format is not None:
        options["driver"] = image_format
    file = options.get("file")
    is_protocol = isinstance(file, dict) and image_format is not None and file.get("driver") == image_format
    return file if is_protocol and isinstance(file, dict) else options


def _check_json(text: str) -> None:
    """Refuse a ``json:`` name that is no JSON, saying where it goes wrong."""
    if not text.startswith("json:"):
        return
    from qmpserver.options import structured  # noqa: PLC0415 - few names are JSON

    try:
        structured.json_object(text.removeprefix("json:"))
    except QMPError as error:
        raise QMPError(f"Could not parse the JSON options: {error.description}") from error


def cache_mode(
    given: Given, option: str, what: str = "cache option", default: CacheMode = WRITEBACK
) -> CacheMode:
    """Return the cache mode that an option asks for.

    Raises:
        Failure: There is none of that name.
    """
    wanted = given.last(option)
    if wanted is None:
        return default
    if wanted not in MODES:
        raise Failure(f"Invalid {what}: {wanted}")
    return MODES[wanted]


class CannotOpen(Failure):
    """Report an image that cannot be opened.

    Args:
        name: Which.
        error: Why.

    Attributes:
        reason: Why, and what is said below that.
    """

    def __init__(self, name: ImageName, error: QMPError) -> None:
        super().__init__(f"Could not open '{name.text}': {error.description}", below=error.hint)
        self.reason = f"{error.description}\n{error.hint}" if error.hint else error.description


class Image:
    """An opened image, and this program's handle on it.

    Attributes:
        name: What it was opened by.
        backend: The handle.
    """

    def __init__(self, name: ImageName, backend: BlockBackend) -> None:
        self.name = name
        self.backend = backend

    @property
    def node(self) -> Node:
        """The node at the top."""
        return self.backend.node

    @property
    def size(self) -> int:
        """Bytes of the virtual disk."""
        return self.node.size

    @property
    def write_flags(self) -> int:
        """What each write asks for: to be on the disk at once, when the cache mode says so."""
        return FUA if self.name.cache.writethrough else 0


class Images:
    """The images of one run of the tool, closed at its end.

    Args:
        given: Its objects are made.

    Attributes:
        engine: What opens them.
    """

    def __init__(self, given: Given) -> None:
        self.engine = Engine(_load_schema, SystemClock())
        self._objects = given.all("object")
        self._open: list[Image] = []

    async def __aenter__(self) -> Self:
        for text in self._objects:
            self._add_object(text)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for image in reversed(self._open):
            try:
                async with self.engine.graph.lock:
                    await image.backend.remove()
            except OSError as failed:
                if error is None:
                    raise Failure(f"Could not close '{image.name.text}': {error_text(failed)}") from failed
        await self.engine.close()

    def _add_object(self, text: str) -> None:
        from qmpserver.options import structured  # noqa: PLC0415 - few name objects
        from qmpserver.options.object_help import object_help  # noqa: PLC0415 - few name objects

        schema = self.engine.schema
        try:
            parsed = structured.parse(text, "qom-type", lambda asked: object_help(schema, asked))
            self.engine.objects.add(parsed.as_type(schema.type("ObjectOptions")))
        except structured.HelpWanted as wanted:
            raise Answer(f"{wanted}\n") from wanted
        except QMPError as error:
            raise Failure(error.description) from error

    async def open(self, name: ImageName, *, with_backing: bool = True, for_check: bool = False) -> Image:
        """Open an image, to be closed at the end.

        Args:
            name: Which, and how.
            with_backing: Open its backing files as well.
            for_check: It is only to be checked, and may be damaged.

        Raises:
            CannotOpen: It cannot be opened.
        """
        backend = BlockBackend(self.engine.graph)
        try:
            options = name.options()
            if not name.is_plain:
                options = self.checked(options)
            async with self.engine.graph.lock:
                node = await self.engine.opener.open_unowned(
                    options, with_backing=with_backing, for_check=for_check
                )
                if not with_backing:
                    # That nothing was opened below is not for the name to say.
                    node.auto_backing_filename = None
                try:
                    await backend.insert(node, _permissions(name))
                except BaseException:
                    await self.engine.graph.discard(node)
                    raise
        except QMPError as error:
            raise CannotOpen(name, error) from error
        if name.writable and not name.is_options and "driver" not in options:
            warn_of_probing(node)
        image = Image(name, backend)
        self._open.append(image)
        return image

    async def close(self, image: Image) -> None:
        """Close an image before the end.

        Raises:
            OSError: It could not be written back in full.
        """
        self._open.remove(image)
        async with self.engine.graph.lock:
            await image.backend.remove()

    def checked(self, options: dict[str, Any]) -> dict[str, Any]:
        """Hold options against the schema; those without a driver, whose format is probed, in part.

        Raises:
            QMPError: They are no good, in the words that ``qemu-img`` has for it.
        """
        described = self.engine.schema.type("BlockdevOptions")
        try:
            if "driver" in options:
                checked: dict[str, Any] = described.from_image(options)
                return checked
            if "file" not in options:
                raise QMPError("Must specify either driver or file")
            file = options["file"]
            return {**options, "file": described.from_image(file) if isinstance(file, dict) else file}
        except QMPError as error:
            raise _in_its_words(error, options) from error


def _load_schema() -> "Schema":
    from qmpserver.schema.loader import load  # noqa: PLC0415 - most names need none

    return load()


def _permissions(name: ImageName) -> PermissionSet:
    used = Permission.CONSISTENT_READ
    if name.writable:
        used |= Permission.WRITE | Permission.RESIZE
    return PermissionSet(used, PERM_ALL)


def _in_its_words(error: QMPError, options: dict[str, Any]) -> QMPError:
    if (found := re.fullmatch(_UNEXPECTED, error.description)) is not None:
        image_format = options.get("driver", "file")
        return QMPError(f"Block format '{image_format}' does not support the option '{found[1]}'")
    if (found := re.fullmatch(_NO_DRIVER, error.description)) is not None:
        return QMPError(f"Unknown driver '{found[1]}'")
    return error
