"""Read the options that an image is created with, and refuse what cannot be had.

Source: the ``BlockdevCreateOptionsQcow2`` members; refusals are in QEMU's words and order.
"""

import errno
import os
from typing import Any, NamedTuple

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.drivers.qcow2.entries import ENTRY_SIZE
from qmpserver.drivers.qcow2.header import MAX_L1_BYTES, MIN_EXTENDED_BITS
from qmpserver.errors import ParameterError, QMPError
from qmpserver.units import SECTOR_SIZE, KiB, MiB, align_up, is_power_of_two, signed64

_V3_NEEDED = "and above (use version=v3 or greater)"


def _preallocation(options: dict[str, Any]) -> Preallocation:
    """A raw data file shows every cluster at its place, so all of them are mapped from the start."""
    wanted = Preallocation(options.get("preallocation", "off"))
    is_raw = bool(options.get("data-file-raw"))
    return Preallocation.METADATA if is_raw and wanted is Preallocation.OFF else wanted


class CreateOptions(NamedTuple):
    """The members of ``BlockdevCreateOptionsQcow2`` that can be had, with their defaults."""

    size: int
    version: int = 3
    cluster_size: int = 64 * KiB
    backing_file: str | None = None
    backing_format: str = ""
    refcount_bits: int = 16
    lazy_refcounts: bool = False
    preallocation: Preallocation = Preallocation.OFF
    compression: str = "zlib"
    data_file: BlockChild | None = None
    data_file_raw: bool = False
    encrypt: dict[str, Any] | None = None
    extended_l2: bool = False

    @classmethod
    def parse(cls, options: dict[str, Any]) -> "CreateOptions":
        """Read and check options under their wire names.

        Raises:
            QMPError: A value cannot be had; with QEMU's text where QEMU refuses it too.
        """
        if isinstance(options.get("data-file"), str | dict):
            # The caller opens nodes, and this one does not.
            raise ParameterError("Parameter 'data-file' is not supported")
        made = cls(
            size=signed64(options["size"]),
            version=2 if options.get("version") == "v2" else 3,
            cluster_size=options.get("cluster-size", 64 * KiB),
            backing_file=options.get("backing-file"),
            backing_format=options.get("backing-fmt") or "",
            refcount_bits=options.get("refcount-bits", 16),
            lazy_refcounts=bool(options.get("lazy-refcounts")),
            preallocation=_preallocation(options),
            compression=options.get("compression-type", "zlib"),
            data_file=options.get("data-file"),
            data_file_raw=bool(options.get("data-file-raw")),
            encrypt=options.get("encrypt"),
            extended_l2=bool(options.get("extended-l2")),
        )
        made.check()
        return made

    def check(self) -> None:
        """Refuse values that cannot be had, in QEMU's order.

        Raises:
            QMPError: With QEMU's text where QEMU refuses it too.
        """
        if not is_power_of_two(self.cluster_size) or not 512 <= self.cluster_size <= 2 * MiB:
            raise QMPError("Cluster size must be a power of two between 512 and 2048k")
        if self.size % SECTOR_SIZE:
            raise QMPError("Image size must be a multiple of 512 bytes")
        self._check_data_file()
        self._check_extended_l2()
        has_backing = self.backing_file is not None
        if self.preallocation is not Preallocation.OFF and has_backing and not self.extended_l2:
            raise QMPError(
                "Backing file and preallocation can only be used at the same time if extended_l2 is on"
            )
        if self.backing_format and not has_backing:
            raise QMPError("Backing format cannot be used without backing file")
        self._check_refcounts()
        if self.compression != "zlib" and self.version < 3:
            raise QMPError(
                f"Non-zlib compression type is only supported with compatibility level 1.1 {_V3_NEEDED}"
            )
        if self.size < 0:
            raise QMPError("Could not resize image: Image size cannot be negative")
        if self.l1_entries * ENTRY_SIZE > MAX_L1_BYTES:
            raise QMPError(f"Could not resize image: Failed to grow the L1 table: {os.strerror(errno.EFBIG)}")

    def _check_data_file(self) -> None:
        if self.data_file_raw and self.data_file is None:
            raise QMPError("data-file-raw requires data-file")
        if self.data_file_raw and self.backing_file is not None:
            raise QMPError("Backing file and data-file-raw cannot be used at the same time")
        if self.data_file is not None and self.version < 3:
            raise QMPError(
                f"External data files are only supported with compatibility level 1.1 {_V3_NEEDED}"
            )

    def _check_extended_l2(self) -> None:
        if not self.extended_l2:
            return
        if self.version < 3:
            raise QMPError(
                f"Extended L2 entries are only supported with compatibility level 1.1 {_V3_NEEDED}"
            )
        if self.cluster_size < 1 << MIN_EXTENDED_BITS:
            least = 1 << MIN_EXTENDED_BITS
            raise QMPError(
                f"Extended L2 entries are only supported with cluster sizes of at least {least} bytes"
            )

    def _check_refcounts(self) -> None:
        if self.lazy_refcounts and self.version < 3:
            raise QMPError(f"Lazy refcounts only supported with compatibility level 1.1 {_V3_NEEDED}")
        if not is_power_of_two(self.refcount_bits) or self.refcount_bits > 64:
            raise QMPError("Refcount width must be a power of two and may not exceed 64 bits")
        if self.refcount_bits != 16 and self.version < 3:
            raise QMPError(
                "Different refcount widths than 16 bits require compatibility level 1.1 or above"
                " (use version=v3 or greater)"
            )

    @property
    def l1_entries(self) -> int:
        """Entries of the L1 table, one per L2 table."""
        reach = self.cluster_size * self.cluster_size // (ENTRY_SIZE * (2 if self.extended_l2 else 1))
        return align_up(self.size, reach) // reach
