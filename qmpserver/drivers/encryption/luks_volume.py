"""Open, make and describe a LUKS header that lies in a file.

Source: LUKS On-Disk Format Specification, sections 2 and 4.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from qmpserver import threads
from qmpserver.crypto.luks_header import HEADER_BYTES, STRIPES, LuksHeader
from qmpserver.crypto.luks_keys import fill_slot, new_header, open_slot
from qmpserver.crypto.sectors import SectorCipher
from qmpserver.driver_api.child import BlockChild
from qmpserver.drivers.encryption.luks_options import LuksOptions
from qmpserver.errors import QMPError


@dataclass(frozen=True, slots=True)
class HeaderArea:
    """Where in a file a header lies, key slots included.

    Attributes:
        file: The file.
        offset: First byte.
        length: Bytes that there are, or None for as many as needed.
    """

    file: BlockChild
    offset: int = 0
    length: int | None = None

    async def read(self, offset: int, length: int) -> bytes:
        """Read from a byte offset in the area; what lies past the end of the file reads as zeroes.

        Raises:
            QMPError: It is not in the area.
            OSError: It cannot be read.
        """
        if self.length is not None and offset + length > self.length:
            raise QMPError("Request for data outside of extension header")
        into = bytearray(length)
        available = min(length, max(self.file.size - self.offset - offset, 0))
        if available:
            with memoryview(into) as view:
                await self.file.pread(self.offset + offset, view[:available])
        return bytes(into)

    async def write(self, offset: int, data: bytes) -> None:
        """Write at a byte offset in the area, and make it durable."""
        await self.file.pwrite(self.offset + offset, memoryview(data))
        await self.file.flush()


@dataclass(slots=True)
class LuksVolume:
    """A LUKS header in a file.

    Attributes:
        area: Where it lies.
        header: The header.
        key: The key, or None where the volume was opened only to be looked at.
        is_detached: The header is kept apart from the data.
    """

    area: HeaderArea
    header: LuksHeader
    key: bytes | None = None
    is_detached: bool = False

    @classmethod
    async def open(cls, area: HeaderArea, password: bytes | None, *, is_detached: bool = False) -> Self:
        """Read a header, and open it with a passphrase.

        Args:
            area: Where it lies.
            password: The passphrase, or None to look only.
            is_detached: It is kept apart from the data.

        Raises:
            QMPError: It is none or damaged, or that is not the passphrase.
            OSError: It cannot be read.
        """
        volume = cls(area, await _read_header(area, is_detached=is_detached), is_detached=is_detached)
        if password is not None:
            volume.key = await volume.unlock(password)
        return volume

    @property
    def cipher(self) -> SectorCipher:
        """What encrypts and decrypts the volume's sectors.

        Raises:
            QMPError: Something that it takes is not to be had here.
        """
        assert self.key is not None
        return SectorCipher(self.header.choice, self.key)

    async def reread(self) -> None:
        """Take note of what another user of the file may have done to the key slots."""
        self.header = await _read_header(self.area, is_detached=self.is_detached)

    async def unlock(self, password: bytes) -> bytes:
        """Return the key.

        Raises:
            QMPError: That is not the passphrase of any slot.
        """
        for index in self.header.active_slots:
            key = await self.try_slot(index, password)
            if key is not None:
                return key
        raise QMPError("Invalid password, cannot unlock any keyslot")

    async def try_slot(self, index: int, password: bytes) -> bytes | None:
        """Return the key that a slot holds, or None when that is not its passphrase."""
        material = await self.area.read(self.header.slots[index].offset, self.header.material_bytes)
        return await threads.run(open_slot, self.header, index, material, password)

    def info(self) -> dict[str, Any]:
        """Return the ``QCryptoBlockInfoLUKS`` members."""
        header, choice = self.header, self.header.choice
        shown: dict[str, Any] = {
            "ivgen-alg": choice.iv_name,
            "detached-header": self.is_detached,
            "hash-alg": header.hash_name,
            "cipher-alg": choice.algorithm.name,
            "uuid": header.uuid,
            "cipher-mode": choice.mode,
            "slots": [],
            "payload-offset": header.payload_offset,
            "master-key-iters": header.digest_iterations,
        }
        if choice.iv_name == "essiv":
            shown["ivgen-hash-alg"] = choice.iv_hash
        for slot in header.slots:
            about: dict[str, Any] = {"active": slot.is_active, "key-offset": slot.offset}
            if slot.is_active:
                about |= {"iters": slot.iterations, "stripes": STRIPES}
            shown["slots"].append(about)
        return shown


async def _read_header(area: HeaderArea, *, is_detached: bool) -> LuksHeader:
    return LuksHeader.parse(await area.read(0, HEADER_BYTES), is_detached=is_detached)


@dataclass(frozen=True, slots=True)
class NewVolume:
    """A header that is not in any file yet.

    Attributes:
        header: The header.
        key: The key.
        packed: The bytes to store where the header is to lie; what follows them is zeroes.
    """

    header: LuksHeader
    key: bytes
    packed: bytes

    @classmethod
    async def make(cls, options: LuksOptions, *, is_detached: bool = False) -> Self:
        """Make a header with one passphrase; it takes a while, by the options' wish.

        Raises:
            QMPError: So many iterations cannot be stored.
        """
        made = partial(new_header, is_detached=is_detached)
        header, key = await threads.run(made, options.choice, options.hash_name, options.iter_time_ms)
        slot, material = await threads.run(fill_slot, header, 0, key, options.password, options.iter_time_ms)
        header = header.with_slot(0, slot)
        return cls(header, key, header.pack().ljust(slot.offset, b"\0") + material)

    async def store(self, area: HeaderArea) -> None:
        """Store it, durably: what tells that it is a header last.

        Raises:
            OSError: It cannot be written.
        """
        await area.write(HEADER_BYTES, self.packed[HEADER_BYTES:])
        await area.write(0, self.packed[:HEADER_BYTES])
