"""Describe the options that new images are made with, as ``-o`` takes them, for each format."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from qmpserver.options.flat_options import Kind, Value

_KIND_WORDS = {Kind.STRING: "str", Kind.BOOLEAN: "bool (on/off)", Kind.NUMBER: "num", Kind.SIZE: "size"}


class CreationOption(NamedTuple):
    """One option.

    Attributes:
        name: What it is called in ``-o``.
        kind: What its value is.
        text: What it is for.
        member: The member of ``BlockdevCreateOptions`` that it becomes, with a dot where that is nested.
        default: The value shown when none was given, or None.
        words: Values that are called otherwise there.
        of_file: It is about the file that the image is kept in.
    """

    name: str
    kind: Kind
    text: str
    member: str
    default: Value | None = None
    words: Mapping[str, str] = MappingProxyType({})
    of_file: bool = False


_SIZE = CreationOption("size", Kind.SIZE, "Size of the disk", "size")
_NOCOW = CreationOption("nocow", Kind.BOOLEAN, "Have btrfs write the file in place", "nocow", of_file=True)
_EXTENT_SIZE = CreationOption(
    "extent_size_hint",
    Kind.SIZE,
    "How much the host should allocate at once",
    "extent-size-hint",
    of_file=True,
)

_QCOW2 = (
    CreationOption("encryption", Kind.BOOLEAN, "Encrypt with the old AES format", "encryption"),
    CreationOption(
        "encrypt.format", Kind.STRING, "Encrypt: aes or luks", "encrypt.format", words={"aes": "qcow"}
    ),
    CreationOption("encrypt.key-secret", Kind.STRING, "Secret object with the key", "encrypt.key-secret"),
    CreationOption("encrypt.cipher-alg", Kind.STRING, "Cipher", "encrypt.cipher-alg"),
    CreationOption("encrypt.cipher-mode", Kind.STRING, "Cipher mode", "encrypt.cipher-mode"),
    CreationOption("encrypt.ivgen-alg", Kind.STRING, "Initialization vectors", "encrypt.ivgen-alg"),
    CreationOption("encrypt.ivgen-hash-alg", Kind.STRING, "Hash of those", "encrypt.ivgen-hash-alg"),
    CreationOption("encrypt.hash-alg", Kind.STRING, "Hash for deriving the key", "encrypt.hash-alg"),
    CreationOption("encrypt.iter-time", Kind.NUMBER, "Milliseconds to derive the key", "encrypt.iter-time"),
    CreationOption("cluster_size", Kind.SIZE, "Size of a cluster", "cluster-size", 65536),
    CreationOption(
        "extended_l2", Kind.BOOLEAN, "Divide clusters into subclusters", "extended-l2", default=False
    ),
    CreationOption("preallocation", Kind.STRING, "off, metadata, falloc or full", "preallocation"),
    CreationOption("compression_type", Kind.STRING, "zlib or zstd", "compression-type", "zlib"),
    CreationOption("keep_data_file", Kind.BOOLEAN, "Take that file as it is", "keep-data-file"),
    _SIZE,
    CreationOption(
        "compat", Kind.STRING, "Version: v2 (0.10) or v3 (1.1)", "version", words={"0.10": "v2", "1.1": "v3"}
    ),
    CreationOption("backing_file", Kind.STRING, "Image to lie over", "backing-file"),
    CreationOption("backing_fmt", Kind.STRING, "Its format", "backing-fmt"),
    CreationOption("data_file", Kind.STRING, "File that guest data is kept in", "data-file"),
    CreationOption("data_file_raw", Kind.BOOLEAN, "Keep that a raw image", "data-file-raw"),
    CreationOption(
        "lazy_refcounts", Kind.BOOLEAN, "Allow refcounts to lag behind", "lazy-refcounts", default=False
    ),
    CreationOption("refcount_bits", Kind.NUMBER, "Bits of a reference count", "refcount-bits", 16),
    _NOCOW,
    _EXTENT_SIZE,
)

_RAW = (
    _SIZE,
    CreationOption("preallocation", Kind.STRING, "off, falloc or full", "preallocation", of_file=True),
    _NOCOW,
    _EXTENT_SIZE,
)

_LUKS = (
    _SIZE,
    *(
        option._replace(
            name=option.name.removeprefix("encrypt."), member=option.member.removeprefix("encrypt.")
        )
        for option in _QCOW2
        if option.name.startswith("encrypt.") and option.name != "encrypt.format"
    ),
    CreationOption(
        "detached-header", Kind.BOOLEAN, "Make only the header, for data that is elsewhere", "detached-header"
    ),
    CreationOption("preallocation", Kind.STRING, "off, falloc or full", "preallocation"),
    _NOCOW,
    _EXTENT_SIZE,
)

FORMATS: Mapping[str, tuple[CreationOption, ...]] = {
    "qcow2": _QCOW2, "luks": _LUKS, "raw": _RAW, "file": _RAW,
}  # fmt: skip
"""The formats that images can be made of, with their options in the order in which they are shown."""

_COLUMN = 24
"""Where what an option is for begins, if its name leaves the room."""


def options_help(options: tuple[CreationOption, ...], title: str) -> str:
    """Return what ``-o help`` prints."""
    rows = sorted(options, key=lambda option: option.name)
    lines = [
        f"  {option.name}=<{_KIND_WORDS[option.kind]}>".ljust(_COLUMN) + f" - {option.text}"
        for option in rows
    ]
    return "\n".join([title, *lines]) + "\n"


def creation_help(image_format: str, options: tuple[CreationOption, ...], filename: str | None) -> str:
    """Return what ``-o help`` prints of new images.

    Args:
        image_format: Their format.
        options: Its options.
        filename: What is to be made, if that was said; else nothing is known of the file that it is kept in.
    """
    if filename is not None:
        return options_help(options, "Supported options:")
    own = tuple(option for option in options if not option.of_file)
    title = f"Supported {image_format} options:"
    return (
        options_help(own, title)
        + "\nWhere the image is kept in a file there are more; name it to see them.\n"
    )


def shown(options: tuple[CreationOption, ...], values: Mapping[str, Value]) -> str:
    """Write values, and defaults in their place, as ``name=value`` in the order of the options."""
    words: list[str] = []
    for option in options:
        value = values.get(option.name, option.default)
        if value is None:
            continue
        text = ("on" if value else "off") if isinstance(value, bool) else str(value).replace(",", ",,")
        words.append(f"{option.name}={text}")
    return " ".join(words)


def to_members(options: tuple[CreationOption, ...], values: Mapping[str, Value]) -> dict[str, Any]:
    """Turn values into members of ``BlockdevCreateOptions``, nested where they are."""
    members: dict[str, Any] = {}
    for option in options:
        if option.name not in values:
            continue
        value = values[option.name]
        *path, last = option.member.split(".")
        place = members
        for name in path:
            place = place.setdefault(name, {})
        place[last] = option.words.get(value, value) if isinstance(value, str) else value
    return members
