"""Read and write the fixed part of the header, and refuse what is wrong with it.

Source: qcow2 specification, "Header".  The limits on tables are QEMU's.
"""

import struct
from typing import Final, NamedTuple, Self

from qmpserver.drivers.qcow2.entries import ENTRY_SIZE
from qmpserver.errors import QMPError
from qmpserver.units import SECTOR_SIZE, MiB, align_up

MAGIC: Final = b"QFI\xfb"
MIN_CLUSTER_BITS: Final = 9
MAX_CLUSTER_BITS: Final = 21
MIN_EXTENDED_BITS: Final = 14
"""With extended L2 entries, a subcluster is no smaller than the smallest cluster."""
MAX_L1_BYTES: Final = 32 * MiB
MAX_REFTABLE_BYTES: Final = 8 * MiB
MAX_SNAPSHOTS: Final = 65536
MAX_BACKING_NAME: Final = 1023
V2_LENGTH: Final = 72
V3_LENGTH: Final = 104
HEADER_LENGTH: Final = 112
"""Length of the header this driver writes into new version 3 images."""

INCOMPAT_DIRTY: Final = 1 << 0
INCOMPAT_CORRUPT: Final = 1 << 1
INCOMPAT_DATA_FILE: Final = 1 << 2
INCOMPAT_COMPRESSION: Final = 1 << 3
INCOMPAT_EXTENDED_L2: Final = 1 << 4
INCOMPAT_KNOWN: Final = (1 << 5) - 1
COMPAT_LAZY_REFCOUNTS: Final = 1 << 0
AUTOCLEAR_BITMAPS: Final = 1 << 0
AUTOCLEAR_DATA_FILE_RAW: Final = 1 << 1
AUTOCLEAR_KEPT: Final = AUTOCLEAR_DATA_FILE_RAW | AUTOCLEAR_BITMAPS
"""What the autoclear bits vouch for that this driver keeps up."""

COMPRESSION_TYPES: Final = ("zlib", "zstd")

_V2 = struct.Struct(">4sIQIIQIIQQIIQ")
_V3 = struct.Struct(">QQQII")


class Header(NamedTuple):
    """The fixed header fields.  Offsets are host offsets in bytes.

    Attributes:
        l1_entries: Entries of the active L1 table.
        refcount_order: Binary logarithm of the bits in a reference count.
        header_length: Bytes before the first header extension.
        compression_type: Index into :data:`COMPRESSION_TYPES`.
    """

    version: int
    cluster_bits: int
    size: int
    l1_entries: int
    l1_offset: int
    reftable_offset: int
    reftable_clusters: int
    backing_offset: int = 0
    backing_length: int = 0
    crypt_method: int = 0
    snapshot_count: int = 0
    snapshot_offset: int = 0
    incompatible: int = 0
    compatible: int = 0
    autoclear: int = 0
    refcount_order: int = 4
    header_length: int = HEADER_LENGTH
    compression_type: int = 0

    @property
    def cluster_size(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def l2_reach(self) -> int:
        """Guest bytes that one L2 table maps."""
        entry_bits = 4 if self.incompatible & INCOMPAT_EXTENDED_L2 else 3
        return 1 << (2 * self.cluster_bits - entry_bits)

    @classmethod
    def parse(cls, head: bytes) -> Self:
        """Read the fields from the first bytes of an image.

        Args:
            head: At least 112 bytes; a shorter file is padded with zeroes.

        Raises:
            QMPError: It is no qcow2 image, or its header cannot be made sense of.
        """
        (magic, version, backing_offset, backing_length, cluster_bits, size, crypt, l1_entries, l1_offset,
         reftable_offset, reftable_clusters, snapshots, snapshot_offset) = _V2.unpack_from(head)  # fmt: skip
        if magic != MAGIC:
            raise QMPError("Image is not in qcow2 format")
        if version not in {2, 3}:
            raise QMPError(f"Unsupported qcow2 version {version}")
        if not MIN_CLUSTER_BITS <= cluster_bits <= MAX_CLUSTER_BITS:
            raise QMPError(f"Unsupported cluster size: 2^{cluster_bits}")
        incompatible = compatible = autoclear = compression = 0
        order, length = 4, V2_LENGTH
        if version == 3:
            incompatible, compatible, autoclear, order, length = _V3.unpack_from(head, V2_LENGTH)
            if length < V3_LENGTH:
                raise QMPError("qcow2 header too short")
            compression = head[V3_LENGTH] if length > V3_LENGTH else 0
        if length > 1 << cluster_bits:
            raise QMPError("qcow2 header exceeds cluster size")
        if backing_offset > 1 << cluster_bits:
            raise QMPError("Invalid backing file offset")
        # QEMU: a part of a sector at the end does not count.
        size -= size % SECTOR_SIZE
        return cls(
            version=version, cluster_bits=cluster_bits, size=size, l1_entries=l1_entries, l1_offset=l1_offset,
            reftable_offset=reftable_offset, reftable_clusters=reftable_clusters, backing_offset=backing_offset,
            backing_length=backing_length, crypt_method=crypt, snapshot_count=snapshots,
            snapshot_offset=snapshot_offset, incompatible=incompatible, compatible=compatible,
            autoclear=autoclear, refcount_order=order, header_length=length, compression_type=compression,
        )  # fmt: skip

    def pack(self) -> bytes:
        """Return the fields as they stand at the start of the image; they lie within one sector."""
        fixed = _V2.pack(
            MAGIC, self.version, self.backing_offset, self.backing_length, self.cluster_bits, self.size,
            self.crypt_method, self.l1_entries, self.l1_offset, self.reftable_offset, self.reftable_clusters,
            self.snapshot_count, self.snapshot_offset,
        )  # fmt: skip
        if self.version == 2:
            return fixed
        fixed += _V3.pack(
            self.incompatible, self.compatible, self.autoclear, self.refcount_order, self.header_length
        )
        if self.header_length > V3_LENGTH:
            fixed += bytes((self.compression_type,))
        return fixed


def check_features(header: Header, feature_names: dict[int, str], *, read_only: bool) -> None:
    """Refuse an image that needs what this driver does not do.

    Args:
        header: The image's header.
        feature_names: Names of incompatible feature bits, from the image itself.
        read_only: The image will not be written.

    Raises:
        QMPError: With QEMU's text where QEMU would refuse it too.
    """
    unknown = header.incompatible & ~INCOMPAT_KNOWN
    if unknown:
        raise QMPError(f"Unsupported qcow2 feature(s): {_feature_list(unknown, feature_names)}")
    if header.incompatible & INCOMPAT_CORRUPT and not read_only:
        raise QMPError("qcow2: Image is corrupt; cannot be opened read/write")
    if header.refcount_order > 6:
        raise QMPError("Reference count entry width too large; may not exceed 64 bits")
    if header.crypt_method > 2:
        raise QMPError(f"Unsupported encryption method {header.crypt_method}")
    _check_compression(header)
    if header.autoclear & AUTOCLEAR_DATA_FILE_RAW and not header.incompatible & INCOMPAT_DATA_FILE:
        raise QMPError("data-file-raw requires a data file")
    if header.incompatible & INCOMPAT_EXTENDED_L2 and header.cluster_bits < MIN_EXTENDED_BITS:
        raise QMPError(f"Unsupported subcluster size: {header.cluster_size // 32}")


def _feature_list(bits: int, names: dict[int, str]) -> str:
    known = [name for bit, name in names.items() if bits >> bit & 1]
    rest = bits & ~sum(1 << bit for bit in names)
    return ", ".join([*known, *([f"Unknown incompatible feature: {rest:x}"] if rest else [])])


def _check_compression(header: Header) -> None:
    if header.compression_type >= len(COMPRESSION_TYPES):
        raise QMPError(f"qcow2: unknown compression type: {header.compression_type}")
    marked = bool(header.incompatible & INCOMPAT_COMPRESSION)
    if marked != bool(header.compression_type):
        must = "must not" if marked else "must"
        raise QMPError(f"qcow2: Compression type incompatible feature bit {must} be set")


def check_tables(header: Header, *, for_check: bool = False) -> None:
    """Refuse table positions and sizes that cannot be right.

    Args:
        header: The header.
        for_check: The image will only be checked, which finds out the references by itself.

    Raises:
        QMPError: With QEMU's text.
    """
    if not header.reftable_clusters and not for_check:
        raise QMPError("Image does not contain a reference count table")
    reftable_bytes = header.reftable_clusters * header.cluster_size
    _check_table("Reference count table", header, header.reftable_offset, reftable_bytes, MAX_REFTABLE_BYTES)
    if header.snapshot_count > MAX_SNAPSHOTS:
        raise QMPError("Snapshot table too large")
    _check_table("Snapshot table", header, header.snapshot_offset, header.snapshot_count * 40, 1 << 62)
    _check_table("Active L1 table", header, header.l1_offset, header.l1_entries * ENTRY_SIZE, MAX_L1_BYTES)
    needed = align_up(header.size, header.l2_reach) // header.l2_reach
    if needed > (1 << 31) - 1:
        raise QMPError("Image is too big")
    if header.l1_entries < needed:
        raise QMPError("L1 table is too small")


def _check_table(name: str, header: Header, offset: int, length: int, limit: int) -> None:
    if length > limit:
        raise QMPError(f"{name} too large")
    if offset % header.cluster_size or offset + length > (1 << 63) - 1:
        raise QMPError(f"{name} offset invalid")


def check_backing_name(header: Header) -> None:
    """Refuse a backing file name that does not lie in the first cluster.

    Raises:
        QMPError: With QEMU's text.
    """
    room = min(MAX_BACKING_NAME, header.cluster_size - header.backing_offset)
    if header.backing_offset and header.backing_length > room:
        raise QMPError("Backing file name too long")
