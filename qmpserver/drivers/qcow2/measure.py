"""Say how large an image's file would be, without making it.

What is counted is what QEMU counts: as many tables as the whole disk would need, whatever part of it holds data.

Source: qcow2 specification, "General", "Reference counting", "Bitmaps".
"""

from typing import Any

from qmpserver.driver_api.bitmaps import StoredBitmap
from qmpserver.driver_api.measuring import Contents, Measurement
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.secrets import SecretSource
from qmpserver.drivers.qcow2.bitmap_directory import entry_length
from qmpserver.drivers.qcow2.create_options import CreateOptions
from qmpserver.drivers.qcow2.entries import ENTRY_SIZE
from qmpserver.drivers.qcow2.header import MAX_L1_BYTES
from qmpserver.errors import QMPError
from qmpserver.units import align_up

_COUNTED = ("version", "cluster-size", "refcount-bits", "extended-l2", "preallocation")


async def measure_image(
    options: dict[str, Any], contents: Contents | None, secrets: SecretSource
) -> Measurement:
    """Say how large it would be; see :class:`~qmpserver.driver_api.measuring.SupportsMeasure`."""
    wanted = CreateOptions.parse({name: options[name] for name in _COUNTED if name in options} | {"size": 0})
    cluster = wanted.cluster_size
    encryption = align_up(_encryption_bytes(options.get("encrypt"), secrets), cluster)
    size = align_up(options["size"] if contents is None else contents.size, cluster)
    if wanted._replace(size=size).l1_entries * ENTRY_SIZE > MAX_L1_BYTES:
        raise QMPError("The image size is too large (try using a larger cluster size)")
    data = await _data_bytes(wanted, contents, size, has_backing=options.get("backing-file") is not None)
    whole = encryption + size + _table_bytes(wanted, size)
    bitmaps = None
    if contents is not None and contents.bitmaps is not None and wanted.version >= 3:
        bitmaps = _bitmap_bytes(contents.bitmaps, contents.size, cluster)
    return Measurement(whole - size + data, whole, bitmaps)


async def _data_bytes(
    wanted: CreateOptions, contents: Contents | None, size: int, *, has_backing: bool
) -> int:
    """Return what data takes; over a backing file it may be all of it, for nobody knows what the two share."""
    if wanted.preallocation in {Preallocation.FALLOC, Preallocation.FULL}:
        return size
    if contents is None:
        return 0
    return size if has_backing else await contents.count_data(wanted.cluster_size)


def _encryption_bytes(options: dict[str, Any] | None, secrets: SecretSource) -> int:
    if options is None or options["format"] != "luks":
        return 0
    from qmpserver.crypto.luks_keys import payload_offset  # noqa: PLC0415 - loads the ciphers
    from qmpserver.drivers.encryption.luks_options import LuksOptions  # noqa: PLC0415 - the same

    return payload_offset(LuksOptions.parse(options, secrets, prefix="encrypt.").choice)


def _entry_size(wanted: CreateOptions) -> int:
    """Return the bytes of an L2 entry, which an extended one has twice as many of."""
    return 2 * ENTRY_SIZE if wanted.extended_l2 else ENTRY_SIZE


def _table_bytes(wanted: CreateOptions, size: int) -> int:
    """Return what the header, all tables and all refcount structures of a full image take."""
    cluster = wanted.cluster_size
    l2_bytes = align_up(size // cluster, cluster // _entry_size(wanted)) * _entry_size(wanted)
    l1_bytes = align_up(l2_bytes // cluster, cluster // ENTRY_SIZE) * ENTRY_SIZE
    tables = cluster + l2_bytes + l1_bytes
    return tables + _refcount_bytes(wanted, (tables + size) // cluster)


def _refcount_bytes(wanted: CreateOptions, clusters: int) -> int:
    """Return what refcounts of so many clusters take, their own included."""
    cluster = wanted.cluster_size
    per_block, per_table = cluster * 8 // wanted.refcount_bits, cluster // ENTRY_SIZE
    blocks = tables = 0
    while True:
        grown = -(-(clusters + tables + blocks) // per_block)
        if grown == blocks:
            return (blocks + tables) * cluster
        blocks, tables = grown, -(-grown // per_table)


def _bitmap_bytes(bitmaps: tuple[StoredBitmap, ...], size: int, cluster: int) -> int:
    """Return what bitmaps of a disk take when every bit of them has to be stored."""
    total = directory = 0
    for bitmap in bitmaps:
        bits = -(-size // bitmap.granularity)
        clusters = align_up(-(-bits // 8), cluster) // cluster
        total += clusters * cluster + align_up(clusters * ENTRY_SIZE, cluster)
        directory += entry_length(bitmap.name.encode())
    return total + align_up(directory, cluster)
