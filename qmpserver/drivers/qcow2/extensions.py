"""Read and write header extensions, and lay out the first cluster.

Source: qcow2 specification, "Header extensions".
"""

import struct
from typing import Final, NamedTuple

from qmpserver.drivers.qcow2.header import MAX_BACKING_NAME, Header
from qmpserver.errors import QMPError
from qmpserver.units import SECTOR_SIZE, align_up

END: Final = 0
BACKING_FORMAT: Final = 0xE2792ACA
FEATURE_NAMES: Final = 0x6803F857
CRYPTO: Final = 0x0537BE77
CRYPTO_BYTES: Final = 16
"""Bytes of data of a CRYPTO extension."""
BITMAPS: Final = 0x23852875
DATA_FILE: Final = 0x44415441

_HEAD = struct.Struct(">II")
_FEATURE = struct.Struct(">BB46s")
_FEATURES: Final = (
    (0, 0, b"dirty bit"), (0, 1, b"corrupt bit"), (0, 2, b"external data file"), (0, 3, b"compression type"),
    (0, 4, b"extended L2 entries"), (1, 0, b"lazy refcounts"), (2, 0, b"bitmaps"), (2, 1, b"raw external data"),
)  # fmt: skip
_NAMES_NEED: Final = 4096
"""QEMU: the feature names are left out of images with clusters smaller than this."""


class Extension(NamedTuple):
    """One header extension: its type and its data, without padding."""

    kind: int
    data: bytes


def parse_extensions(cluster: bytes, header: Header) -> list[Extension]:
    """Read every extension up to the end marker, the backing file name, or the end of the cluster.

    Args:
        cluster: The first cluster of the image.
        header: Its header.

    Raises:
        QMPError: An extension does not fit, or its content cannot be right; with QEMU's text.
    """
    end = header.backing_offset or header.cluster_size
    offset = header.header_length
    found: list[Extension] = []
    while offset + _HEAD.size <= end:
        kind, length = _HEAD.unpack_from(cluster, offset)
        offset += _HEAD.size
        if length > end - offset:
            raise QMPError("Header extension too large")
        if kind == END:
            break
        _check_content(kind, length, header)
        found.append(Extension(kind, bytes(cluster[offset : offset + length])))
        offset += align_up(length, 8)
    return found


def _check_content(kind: int, length: int, header: Header) -> None:
    if kind == BACKING_FORMAT and length >= 16:
        raise QMPError(f"ERROR: ext_backing_format: len={length} too large (>=16)")
    if kind == CRYPTO and header.crypt_method != 2:
        raise QMPError("CRYPTO header extension only expected with LUKS encryption method")
    if kind == CRYPTO and length != CRYPTO_BYTES:
        raise QMPError(f"CRYPTO header extension size {length}, but expected size {CRYPTO_BYTES}")
    if kind == BITMAPS and length != 24:
        raise QMPError("bitmaps_ext: Invalid extension length")


def find_extension(extensions: list[Extension], kind: int) -> bytes | None:
    """Return the data of the last extension of that kind, or None."""
    return next((ext.data for ext in reversed(extensions) if ext.kind == kind), None)


def incompatible_names(extensions: list[Extension]) -> dict[int, str]:
    """Return the names that an image itself gives to incompatible feature bits."""
    data = find_extension(extensions, FEATURE_NAMES) or b""
    names = {}
    for start in range(0, len(data) - _FEATURE.size + 1, _FEATURE.size):
        group, bit, name = _FEATURE.unpack_from(data, start)
        if group == 0 and bit < 64:
            names[bit] = name.split(b"\0")[0].decode("utf-8", "replace")
    return names


def feature_names(header: Header) -> list[Extension]:
    """Return the feature name table that a new image gets, as a list of one or no extension."""
    if header.version < 3 or header.cluster_size < _NAMES_NEED:
        return []
    return [Extension(FEATURE_NAMES, b"".join(_FEATURE.pack(*feature) for feature in _FEATURES))]


def name_to_text(name: bytes) -> str:
    """Decode a file name or format as stored in an image."""
    return name.split(b"\0")[0].decode("utf-8", "surrogateescape")


def text_to_name(text: str) -> bytes:
    """Encode a file name or format as stored in an image."""
    return text.encode("utf-8", "surrogateescape")


class FirstCluster(NamedTuple):
    """How the first cluster is laid out.

    Attributes:
        header: The header, with offset and length of the backing file name filled in.
        area: The bytes up to the end of what is used.
        extensions_end: Where the end marker of the extensions ends.
    """

    header: Header
    area: bytes
    extensions_end: int


def lay_out(
    header: Header, extensions: list[Extension], backing_name: bytes, avoid: range = range(0)
) -> FirstCluster | None:
    """Lay out header, extensions and backing file name in the first cluster.

    Args:
        header: The fields to store; offset and length of the name are filled in.
        extensions: What to store behind it, in this order.
        backing_name: The backing file's name, or nothing.
        avoid: Where the name should not be put if there is other room.

    Returns:
        None when it does not fit.
    """
    area = bytearray(header.pack().ljust(header.header_length, b"\0"))
    for kind, data in extensions:
        area += _HEAD.pack(kind, len(data)) + data.ljust(align_up(len(data), 8), b"\0")
    area += _HEAD.pack(END, 0)
    extensions_end = len(area)
    offset = length = 0
    if backing_name:
        offset, length = (
            _place_name(len(area), len(backing_name), header.cluster_size, avoid),
            len(backing_name),
        )
        area = area.ljust(offset, b"\0") + backing_name
    stored = header._replace(backing_offset=offset, backing_length=length)
    fixed = stored.pack()
    area[: len(fixed)] = fixed
    if len(area) > header.cluster_size or length > MAX_BACKING_NAME:
        return None
    return FirstCluster(stored, bytes(area), extensions_end)


def _place_name(start: int, length: int, cluster_size: int, avoid: range) -> int:
    later = align_up(max(start, avoid.stop), SECTOR_SIZE)
    fits_before = start + length <= SECTOR_SIZE or not avoid
    return start if fits_before or later + length > cluster_size else later
