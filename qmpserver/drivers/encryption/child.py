"""See a file through a cipher."""

from collections.abc import Sequence
from typing import Final

from qmpserver import threads
from qmpserver.crypto.sectors import SectorCipher
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.debug_events import DebugHook
from qmpserver.driver_api.driver import not_supported
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.status import BlockStatus
from qmpserver.drivers.encryption.turns import SectorTurns
from qmpserver.file_range import FileRange
from qmpserver.units import SECTOR_SIZE, KiB, align_down, align_up

THREAD_FROM: Final = 128 * KiB
"""As many bytes or more are encrypted and decrypted in a thread."""


class EncryptedChild:
    """A child whose content is encrypted.  Offsets are those of the file below.

    Only reads and writes pass the cipher.  Zeroes and discards are done to the file as it is: whoever asks for
    them keeps account by itself of what reads as zeroes.

    Args:
        file: The file below.
        cipher: Encrypts and decrypts its sectors.
        shift: Bytes to be added to an offset before the cipher counts sectors by it.
        turns: Those of other views of the same file, if there are any.
    """

    def __init__(
        self, file: BlockChild, cipher: SectorCipher, shift: int = 0, turns: SectorTurns | None = None
    ) -> None:
        self.file = file
        self._cipher = cipher
        self._shift = shift
        self._turns = turns if turns is not None else SectorTurns()

    def counted_from(self, shift: int) -> "EncryptedChild":
        """Return a view of the same file in which the cipher counts sectors from elsewhere."""
        return EncryptedChild(self.file, self._cipher, shift, self._turns)

    async def pread(self, offset: int, into: memoryview, flags: int = 0) -> None:
        """Fill `into` with the decrypted bytes at `offset`."""
        start, end = align_down(offset, SECTOR_SIZE), align_up(offset + len(into), SECTOR_SIZE)
        if (start, end) == (offset, offset + len(into)):
            await self.file.pread(offset, into, flags)
            into[:] = await self._decrypt(start, into)
            return
        whole = memoryview(bytearray(end - start))
        await self.file.pread(start, whole, flags)
        into[:] = (await self._decrypt(start, whole))[offset - start : offset - start + len(into)]

    async def pwrite(self, offset: int, data: memoryview, flags: int = 0) -> None:
        """Store `data`, encrypted, at `offset`."""
        start, end = align_down(offset, SECTOR_SIZE), align_up(offset + len(data), SECTOR_SIZE)
        is_partial = (start, end) != (offset, offset + len(data))
        async with self._turns.write(start, end, is_partial=is_partial):
            if is_partial:
                whole = memoryview(bytearray(end - start))
                await self.pread(start, whole)
                whole[offset - start : offset - start + len(data)] = data
                data = whole
            await self.file.pwrite(start, memoryview(await self._encrypt(start, data)), flags)

    def pread_at_once(self, offset: int, into: memoryview) -> bool:
        """Fill nothing: it has to be decrypted."""
        return False

    def find_in_memory(self, offset: int, length: int) -> list[FileRange]:
        """Find nothing: what lies in the file is encrypted."""
        return []

    def pwrite_at_once(self, offset: int, data: memoryview) -> bool:
        """Store nothing: it has to be encrypted first."""
        return False

    def set_aside(self, offset: int, length: int) -> None:
        """Set room aside in the file."""
        self.file.set_aside(offset, length)

    async def pwritev(self, offset: int, buffers: Sequence[memoryview], flags: int = 0) -> None:
        """Store buffers, encrypted, one behind the other from `offset` on."""
        await self.pwrite(offset, memoryview(b"".join(buffers)), flags)

    async def _decrypt(self, offset: int, data: memoryview) -> bytes:
        sector = (offset + self._shift) // SECTOR_SIZE
        if len(data) < THREAD_FROM:
            return self._cipher.decrypt(sector, data)
        return await threads.run(self._cipher.decrypt, sector, data)

    async def _encrypt(self, offset: int, data: memoryview) -> bytes:
        sector = (offset + self._shift) // SECTOR_SIZE
        if len(data) < THREAD_FROM:
            return self._cipher.encrypt(sector, data)
        return await threads.run(self._cipher.encrypt, sector, data)

    async def pwrite_zeroes(self, offset: int, length: int, flags: int = 0) -> None:
        """Make the range of the file zero, which does not read as zeroes here."""
        await self.file.pwrite_zeroes(offset, length, flags)

    async def pdiscard(self, offset: int, length: int) -> None:
        """Say that the range's content is no longer of interest."""
        await self.file.pdiscard(offset, length)

    async def flush(self) -> None:
        """Bring everything written so far to stable storage."""
        await self.file.flush()

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Set the file's size in bytes."""
        await self.file.truncate(size, preallocation)

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Say that the range is data: whatever is there, it decrypts to something."""
        del offset
        return BlockStatus(length, is_data=True, is_zero=False, is_allocated=True)

    async def block_statuses(self, offset: int, length: int) -> list[BlockStatus]:
        """Say that the range is data."""
        return [await self.block_status(offset, length)]

    def known_run(self, offset: int) -> tuple[int, int, bool] | None:
        """Know nothing: see :meth:`block_status`."""
        del offset
        return None

    async def is_allocated_above(self, bottom: str | None, offset: int, length: int) -> tuple[bool, int]:
        """Say whether the file's chain determines the range."""
        return await self.file.is_allocated_above(bottom, offset, length)

    async def allocated_size(self) -> int | None:
        """Return the bytes the file occupies on the host."""
        return await self.file.allocated_size()

    async def pread_snapshot(self, offset: int, into: memoryview) -> None:
        """Refuse: what a file keeps of earlier times is not seen through a cipher."""
        raise not_supported()

    async def snapshot_block_status(self, offset: int, length: int) -> BlockStatus:
        """Refuse, as `pread_snapshot` does."""
        raise not_supported()

    async def pdiscard_snapshot(self, offset: int, length: int) -> None:
        """Refuse, as `pread_snapshot` does."""
        raise not_supported()

    @property
    def node_name(self) -> str:
        """The file's."""
        return self.file.node_name

    @property
    def filename(self) -> str:
        """The file's."""
        return self.file.filename

    @property
    def size(self) -> int:
        """The file's."""
        return self.file.size

    @property
    def read_only(self) -> bool:
        """The file's."""
        return self.file.read_only

    @property
    def limits(self) -> Limits:
        """The file's; whole sectors are best, but not needed."""
        return self.file.limits

    @property
    def format_name(self) -> str:
        """The file's."""
        return self.file.format_name

    @property
    def supports_compressed_writes(self) -> bool:
        """None are taken."""
        return False

    @property
    def cluster_size(self) -> int:
        """The file's."""
        return self.file.cluster_size

    @property
    def debug_hook(self) -> DebugHook | None:
        """The file's."""
        return self.file.debug_hook
