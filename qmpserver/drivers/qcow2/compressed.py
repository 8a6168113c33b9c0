"""Read and write compressed clusters.

Source: qcow2 specification, "Compressed Clusters Descriptor" and "Compression type".
"""

import errno
import importlib
import os
import zlib
from types import ModuleType

from qmpserver import threads
from qmpserver.driver_api.driver import not_supported
from qmpserver.drivers.qcow2.allocation import Allocator
from qmpserver.drivers.qcow2.entries import COMPRESSED, compressed_extent
from qmpserver.drivers.qcow2.header import COMPRESSION_TYPES
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.tables import L2Tables
from qmpserver.units import KiB

THREAD_FROM = 128 * KiB
"""Clusters of this many bytes or more are decompressed in a thread."""

COMPRESS_IN_THREAD_FROM = 8 * KiB
"""Clusters of this many bytes or more are compressed in a thread."""

_WINDOW_BITS = 12
"""QEMU reads with a window of 4 KiB, so no larger one may be used."""


def _inflate(data: bytes, size: int) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size)


def _zstandard() -> ModuleType:
    try:
        return importlib.import_module("zstandard")
    except ImportError as error:
        raise OSError(errno.ENOTSUP, "zstd compressed clusters need the 'zstandard' package") from error


def _unzstd(data: bytes, size: int) -> bytes:
    zstandard = _zstandard()
    try:
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            return bytes(reader.read(size))
    except zstandard.ZstdError as error:
        raise OSError(errno.EIO, os.strerror(errno.EIO)) from error


def decompress(data: bytes, size: int, compression: str) -> bytes:
    """Decompress one cluster.

    Args:
        data: The compressed bytes, perhaps with rubbish behind them.
        size: Bytes of a cluster.
        compression: One of :data:`COMPRESSION_TYPES`.

    Raises:
        OSError: EIO when the data is damaged, ENOTSUP when the means are missing.
    """
    try:
        plain = _inflate(data, size) if compression == "zlib" else _unzstd(data, size)
    except zlib.error as error:
        raise OSError(errno.EIO, os.strerror(errno.EIO)) from error
    if len(plain) != size:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return plain


def compress(data: bytes, compression: str) -> bytes | None:
    """Compress one cluster; None when that does not make it smaller.

    Args:
        data: The whole cluster.
        compression: One of :data:`COMPRESSION_TYPES`.

    Raises:
        OSError: ENOTSUP when the means are missing.
    """
    if compression == "zlib":
        deflate = zlib.compressobj(wbits=-_WINDOW_BITS, memLevel=9)
        packed = deflate.compress(data) + deflate.flush()
    else:
        packed = _zstandard().ZstdCompressor().compress(data)
    return packed if len(packed) < len(data) else None


async def write_compressed(image: Image, allocator: Allocator, offset: int, data: memoryview) -> bool:
    """Store one cluster compressed; see :meth:`MappingDriver.write_compressed`."""
    image.check_sound()
    if image.is_external:
        raise not_supported()
    plain = bytes(data).ljust(image.cluster_size, b"\0")
    compression = COMPRESSION_TYPES[image.header.compression_type]
    if image.cluster_size < COMPRESS_IN_THREAD_FROM:
        packed = compress(plain, compression)
    else:
        packed = await threads.run(compress, plain, compression)
    if packed is None:
        return False
    await image.event("write_compressed")
    await allocator.store_compressed(offset, packed)
    return True


async def read_compressed(image: Image, tables: L2Tables, offset: int, into: memoryview) -> None:
    """Fill `into` from compressed clusters.

    Args:
        image: The image.
        tables: Its tables.
        offset: Guest offset in bytes, inside a compressed cluster.
        into: Where to put it; it may reach into further compressed clusters.

    Raises:
        OSError: EIO when the data is damaged.
    """
    size = image.cluster_size
    while into:
        within = offset & (size - 1)
        part = min(len(into), size - within)
        plain = await _read_cluster(image, tables, offset)
        into[:part] = plain[within : within + part]
        into = into[part:]
        offset += part


async def _read_cluster(image: Image, tables: L2Tables, offset: int) -> bytes:
    table = await tables.get(offset >> (image.cluster_bits + image.l2_bits))
    index = offset >> image.cluster_bits & (image.l2_entries - 1)
    entry = table.entries[index * image.entry_words] if table is not None else 0
    if not entry & COMPRESSED:
        raise not_supported()
    host, length = compressed_extent(entry, image.cluster_bits)
    if host >= image.child.size:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    await image.event("read_compressed")
    data = bytes(await image.read(host, length))
    compression = COMPRESSION_TYPES[image.header.compression_type]
    if image.cluster_size < THREAD_FROM:
        return decompress(data, image.cluster_size, compression)
    return await threads.run(decompress, data, image.cluster_size, compression)
