"""The `blklogwrites` filter: every write is also kept in a log, in the format of the kernel's dm-log-writes.

The log is a superblock in the first sector and entries behind it, each a sector that says what was
done, followed by the data.  Options: `log`, `log-append`, `log-sector-size`, `log-super-update-interval`.

Source: the Linux kernel's documentation of dm-log-writes, "Log Ordering" and "Log format".
"""

import enum
import struct
from typing import Any, ClassVar, Self

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import ChildRole
from qmpserver.drivers.filter import FILTERED_FILE, FilterDriver, merged_limits
from qmpserver.errors import QMPError, error_text
from qmpserver.lock import Lock
from qmpserver.units import SECTOR_SIZE, align_up

MAGIC = 0x6A736677736872
VERSION = 1
MAX_SECTOR_SIZE = 1 << 23
DEFAULT_INTERVAL = 4096

_SUPERBLOCK = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")


class EntryFlag(enum.IntFlag):
    """What an entry tells of."""

    FLUSH = 1 << 0
    FUA = 1 << 1
    DISCARD = 1 << 2
    MARK = 1 << 3


class WriteLog:
    """The log of one filter.

    Args:
        child: The node that holds it.
        sector_size: The unit that it counts in, in bytes.
        interval: The superblock is brought up to date after so many entries, and at each flush.
        entries: Entries that there are.
        end_sector: The first sector behind them.
    """

    def __init__(
        self, child: BlockChild, sector_size: int, interval: int, entries: int = 0, end_sector: int = 1
    ) -> None:
        self._child = child
        self.sector_size = sector_size
        self._interval = interval
        self._entries = entries
        self._end_sector = end_sector
        self._lock = Lock()

    async def append(self, offset: int, length: int, flags: EntryFlag, data: memoryview | None) -> None:
        """Add an entry.

        Args:
            offset: First byte concerned, a multiple of the sector size.
            length: Bytes concerned, likewise.
            flags: What was done.
            data: What was written, or None for zeroes and for what has no data.
        """
        unit = self.sector_size
        place = self._end_sector * unit
        has_data = bool(length) and not flags & EntryFlag.DISCARD
        entry = bytearray(unit)
        _ENTRY.pack_into(entry, 0, offset // unit, length // unit, flags, 0)
        # Where it goes is settled before anything waits, so that entries do not overlap.
        self._entries += 1
        self._end_sector += 1 + (length // unit if has_data else 0)
        entries = self._entries
        await self._child.pwrite(place, memoryview(bytes(entry) + bytes(data or b"")))
        if has_data and data is None:
            await self._child.pwrite_zeroes(place + unit, length)
        if flags & EntryFlag.FLUSH or entries % self._interval == 0:
            await self._write_superblock()

    async def _write_superblock(self) -> None:
        async with self._lock:
            sector = bytearray(self.sector_size)
            _SUPERBLOCK.pack_into(sector, 0, MAGIC, VERSION, self._entries, self.sector_size)
            await self._child.pwrite(0, memoryview(sector))
        await self._child.flush()


async def _read_log(child: BlockChild, interval: int) -> WriteLog:
    """Read where an existing log ends.

    Raises:
        QMPError: It is none, or of another version.
        OSError: It cannot be read.
    """
    sector = memoryview(bytearray(SECTOR_SIZE))
    await child.pread(0, sector)
    magic, version, entries, sector_size = _SUPERBLOCK.unpack_from(sector)
    if magic != MAGIC:
        raise QMPError("Invalid log superblock magic")
    if version != VERSION:
        raise QMPError(f"Unsupported log version {version}")
    _check_sector_size(sector_size)
    end_sector = 1
    for _ in range(entries):
        head = memoryview(bytearray(_ENTRY.size))
        await child.pread(end_sector * sector_size, head)
        _, length, flags, _ = _ENTRY.unpack(head)
        end_sector += 1 if flags & EntryFlag.DISCARD else 1 + length
        if end_sector * sector_size > child.size:
            # What is said to lie behind the end of the log cannot be walked through.
            break
    return WriteLog(child, sector_size, interval, entries, end_sector)


def _check_sector_size(size: int) -> None:
    if size < SECTOR_SIZE or size > MAX_SECTOR_SIZE or size & (size - 1):
        raise QMPError(f"Invalid log sector size {size}")


async def _open_log(child: BlockChild, options: dict[str, Any]) -> WriteLog:
    interval = options.get("log-super-update-interval", DEFAULT_INTERVAL)
    if options.get("log-append", False):
        if "log-sector-size" in options:
            raise QMPError("log-append and log-sector-size are mutually exclusive")
        try:
            log = await _read_log(child, interval)
        except OSError as error:
            raise QMPError(f"Could not read log superblock: {error_text(error)}") from error
    else:
        sector_size = options.get("log-sector-size", SECTOR_SIZE)
        _check_sector_size(sector_size)
        log = WriteLog(child, sector_size, interval)
    if not interval:
        raise QMPError("Invalid log superblock update interval 0")
    return log


class BlkLogWritesDriver(FilterDriver):
    """A filter that keeps a log.

    Args:
        file: The child whose writes are logged.
        log: Where to.
        log_child: The child that holds the log.
    """

    format_name: ClassVar[str] = "blklogwrites"
    handles_fua: ClassVar[bool] = False
    child_specs: ClassVar[tuple[ChildSpec, ...]] = (FILTERED_FILE, ChildSpec("log", ChildRole.METADATA))

    def __init__(self, file: BlockChild, log: WriteLog, log_child: BlockChild) -> None:
        super().__init__(file)
        self._log = log
        self._log_child = log_child

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the filter, and the log.

        Raises:
            QMPError: An option makes no sense, or what is to be continued is no log.
        """
        file, log_child = context.child("file"), context.child("log")
        assert file is not None
        assert log_child is not None
        return cls(file, await _open_log(log_child, dict(context.options)), log_child)

    @property
    def limits(self) -> Limits:
        """The log counts in sectors of its own."""
        limits = merged_limits(self._file, self._log_child)
        return limits._replace(request_alignment=self._log.sector_size)

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Store `data`, and log it."""
        await super().pwrite(offset, data, flags)
        await self._log.append(offset, len(data), EntryFlag(0), data)

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Make the range zero, and log zeroes."""
        await super().pwrite_zeroes(offset, length, flags)
        await self._log.append(offset, align_up(length, self._log.sector_size), EntryFlag(0), None)

    async def pdiscard(self, offset: int, length: int) -> None:
        """Discard the range, and log that."""
        await super().pdiscard(offset, length)
        await self._log.append(offset, align_up(length, self._log.sector_size), EntryFlag.DISCARD, None)

    async def flush(self) -> None:
        """Flush the child, and log that."""
        await super().flush()
        await self._log.append(0, 0, EntryFlag.FLUSH, None)
