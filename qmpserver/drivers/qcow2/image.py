"""Hold what every part of an open image needs: the file below, the header, and whether it is sound."""

import errno
import os
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.debug_events import debug_event
from qmpserver.driver_api.opening import ImageContext
from qmpserver.drivers.qcow2.extensions import Extension
from qmpserver.drivers.qcow2.header import (
    AUTOCLEAR_DATA_FILE_RAW,
    COMPAT_LAZY_REFCOUNTS,
    INCOMPAT_CORRUPT,
    INCOMPAT_DATA_FILE,
    INCOMPAT_DIRTY,
    INCOMPAT_EXTENDED_L2,
    Header,
)  # fmt: skip
from qmpserver.drivers.qcow2.lending import Lending
from qmpserver.drivers.qcow2.runtime import RuntimeOptions
from qmpserver.errors import CorruptImage
from qmpserver.lock import Lock
from qmpserver.units import KiB, align_down, align_up

if TYPE_CHECKING:  # slow to import, and few images are encrypted
    from qmpserver.drivers.qcow2.encryption import Encryption

WRITE_UNIT = 4 * KiB
"""Parts of tables are written in multiples of this, or of the cluster size if that is less."""


def c_hex(value: int) -> str:
    """Write a number as C's ``%#x`` does, which leaves zero bare."""
    return f"{value:#x}" if value else "0"


async def read_padded(child: BlockChild, offset: int, length: int) -> bytearray:
    """Read from `child`; what lies past its end reads as zeroes."""
    buffer = bytearray(length)
    available = min(length, max(child.size - offset, 0))
    if available:
        with memoryview(buffer) as view:
            if not child.pread_at_once(offset, view[:available]):
                await child.pread(offset, view[:available])
    return buffer


class Image:
    """The state that the parts of one open image share.

    Args:
        context: The engine.
        child: The file that holds the image.
        header: The header as it is on disk.
        extensions: The header's extensions as they are on disk.
        runtime: How it is to be used while it is open.
    """

    def __init__(
        self,
        context: ImageContext,
        child: BlockChild,
        header: Header,
        extensions: list[Extension],
        runtime: RuntimeOptions,
    ) -> None:
        self.context = context
        self.runtime = runtime
        self.child = child
        self.data = child
        """Where guest data is stored: the same file or an external data file, perhaps through a cipher."""
        self.data_file = child
        """The file behind :attr:`data`, whose bytes are as they lie there."""
        self.encryption: Encryption | None = None
        self.header = header
        self.extensions = extensions
        self.backing_name: str | None = None
        """The backing file's name as stored."""
        self.cluster_bits = header.cluster_bits
        self.cluster_size = 1 << header.cluster_bits
        self.is_external = bool(header.incompatible & INCOMPAT_DATA_FILE)
        """Guest data is stored elsewhere, each cluster at its guest offset and uncounted."""
        self.has_subclusters = bool(header.incompatible & INCOMPAT_EXTENDED_L2)
        self.subcluster_size = self.cluster_size >> (5 if self.has_subclusters else 0)
        """The least that can be present by itself, in bytes: the cluster, or a part of it."""
        self.entry_words = 2 if self.has_subclusters else 1
        """Words of 64 bits in an L2 entry; what there is of an entry in other images comes first."""
        self.l2_bits = header.cluster_bits - 2 - self.entry_words
        self.l2_entries = 1 << self.l2_bits
        self.writable = False
        self.header_lock = Lock()
        self.lending = Lending()
        self.broken = False
        self._complained = False
        self.when_broken: Callable[[], None] = lambda: None
        """Called once when the image has become unusable."""

    @property
    def write_unit(self) -> int:
        """Bytes that parts of tables are written in multiples of."""
        return min(self.cluster_size, WRITE_UNIT)

    @property
    def is_external_raw(self) -> bool:
        """Whether the external data file is to be a raw image of the same content."""
        return self.is_external and bool(self.header.autoclear & AUTOCLEAR_DATA_FILE_RAW)

    @property
    def has_backing(self) -> bool:
        """Whether unallocated clusters may show something other than zeroes."""
        return bool(self.header.backing_offset) or self.context.child("backing") is not None

    async def event(self, name: str) -> None:
        """Say what is about to be done to the image, for tests that make just that fail."""
        await debug_event(self.child, name)

    def data_at(self, guest: int, host: int) -> BlockChild:
        """Return the child to move guest data through that lies at that host offset."""
        if self.encryption is None or not self.counts_by_guest:
            return self.data
        return self.encryption.counted_from(self.data, guest - host)

    @property
    def counts_by_guest(self) -> bool:
        """Whether the cipher counts sectors by their guest offset."""
        return self.encryption is not None and self.encryption.method == "aes"

    async def read(self, offset: int, length: int) -> bytearray:
        """Read metadata; what lies past the end of the file reads as zeroes."""
        return await read_padded(self.child, offset, length)

    async def read_table(self, offset: int, length: int) -> "array[int]":
        """Read a table of 64-bit entries into host byte order; as :meth:`read`."""
        table = array("Q")
        table.frombytes(await self.read(offset, length))
        table.byteswap()
        return table

    async def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write metadata."""
        await self.child.pwrite(offset, memoryview(data))

    async def flush(self) -> None:
        """Bring everything written so far, guest data included, to stable storage."""
        if self.is_external:
            await self.data_file.flush()
        await self.child.flush()

    def unit_span(self, start: int, end: int) -> tuple[int, int]:
        """Widen a byte range within a table to write units."""
        return align_down(start, self.write_unit), align_up(end, self.write_unit)

    async def update_header(self, **changes: int) -> None:
        """Store changed header fields by one write within one sector.  The caller sets the barriers."""
        async with self.header_lock:
            header = self.header._replace(**changes)
            await self.write(0, header.pack())
            self.header = header

    def check_sound(self) -> None:
        """Refuse every request once the image was found to be corrupt, as QEMU does.

        Raises:
            OSError: ENOMEDIUM.
        """
        if self.broken:
            raise OSError(errno.ENOMEDIUM, os.strerror(errno.ENOMEDIUM))

    async def corrupt(
        self, message: str, offset: int | None = None, length: int | None = None, *, fatal: bool = True
    ) -> CorruptImage:
        """Tell the world that the image is corrupt, and return the error to raise.

        A fatal report on a writable image sets the corrupt bit and ends all use of the image.

        Args:
            message: What is wrong, in QEMU's words.
            offset: Host offset in bytes of the wrong structure, where known.
            length: Its length in bytes, where known.
            fatal: Going on would make it worse.
        """
        fatal = fatal and self.writable
        if not self.broken and (fatal or not self._complained):
            self._complained = True
            self.context.report_corruption(message, offset, length, fatal=fatal)
        if fatal and not self.broken:
            self.broken = True
            self.when_broken()
            await self._set_corrupt_bit()
        return CorruptImage(self.context.node_name, offset or 0, message)

    async def _set_corrupt_bit(self) -> None:
        if self.header.version < 3:
            return
        try:
            await self.set_incompatible(self.header.incompatible | INCOMPAT_CORRUPT)
        except OSError:
            # The error about the corruption itself is the one to be told.
            return

    async def set_incompatible(self, bits: int) -> None:
        """Store the incompatible feature bits, durably, after everything written before."""
        await self.flush()
        await self.update_header(incompatible=bits)
        await self.child.flush()

    @property
    def is_dirty(self) -> bool:
        """Whether reference counts cannot be relied on."""
        return bool(self.header.incompatible & INCOMPAT_DIRTY)

    @property
    def is_corrupt(self) -> bool:
        """Whether the image is marked as corrupt."""
        return bool(self.header.incompatible & INCOMPAT_CORRUPT)

    @property
    def lazy_refcounts(self) -> bool:
        """Whether the image asks for lazy reference counts; this driver keeps them exact all the same."""
        return bool(self.header.compatible & COMPAT_LAZY_REFCOUNTS)
