"""Read and write the LUKS header, and refuse what is wrong with it.

Source: LUKS On-Disk Format Specification, section 2.1 ("Partition header").
"""

import struct
from dataclasses import dataclass, replace
from typing import Final, Self

from qmpserver.crypto.hashes import check_hash
from qmpserver.crypto.luks_names import read_choice, write_mode
from qmpserver.crypto.sectors import CipherChoice
from qmpserver.errors import QMPError
from qmpserver.units import SECTOR_SIZE, align_up

MAGIC: Final = b"LUKS\xba\xbe"
SLOTS: Final = 8
STRIPES: Final = 4000
DIGEST_BYTES: Final = 20
SALT_BYTES: Final = 32
ALIGNMENT: Final = 4096
"""What header, key slots and data begin at multiples of, in headers made by this program and others."""

_HEAD: Final = struct.Struct(">6sH32s32s32sII20s32sI40s")
_SLOT: Final = struct.Struct(">II32sII")
HEADER_BYTES: Final = _HEAD.size + SLOTS * _SLOT.size
_ACTIVE: Final = 0x00AC71F3
_INACTIVE: Final = 0x0000DEAD


@dataclass(frozen=True, slots=True)
class KeySlot:
    """A place for the key, encrypted with one passphrase.

    Attributes:
        is_active: There is a key in it.
        iterations: What PBKDF2 takes for the passphrase.
        salt: What PBKDF2 mixes in.
        offset: Byte offset in the volume of the encrypted key.
    """

    is_active: bool
    iterations: int
    salt: bytes
    offset: int

    def pack(self) -> bytes:
        """Return the slot's entry in the header."""
        state = _ACTIVE if self.is_active else _INACTIVE
        return _SLOT.pack(state, self.iterations, self.salt, self.offset // SECTOR_SIZE, STRIPES)


@dataclass(frozen=True, slots=True)
class LuksHeader:
    """A header that makes sense.

    Attributes:
        choice: How sectors are encrypted.
        hash_name: The hash function of everything else.
        payload_offset: Byte offset of the encrypted data; 0 where the header is kept apart from it.
        digest: What the key is recognised by.
        digest_salt: What PBKDF2 mixes in for `digest`.
        digest_iterations: What it takes.
        uuid: The volume's name, as text.
        slots: The key slots.
    """

    choice: CipherChoice
    hash_name: str
    payload_offset: int
    digest: bytes
    digest_salt: bytes
    digest_iterations: int
    uuid: str
    slots: tuple[KeySlot, ...]

    @property
    def material_bytes(self) -> int:
        """Bytes of a key slot's encrypted key, up to whole sectors."""
        return align_up(self.choice.key_bytes * STRIPES, SECTOR_SIZE)

    @property
    def end(self) -> int:
        """Where the last key slot ends, and so everything but the data."""
        return max(slot.offset for slot in self.slots) + self.material_bytes

    @property
    def active_slots(self) -> list[int]:
        """The numbers of the slots that hold a key."""
        return [index for index, slot in enumerate(self.slots) if slot.is_active]

    def with_slot(self, index: int, slot: KeySlot) -> "LuksHeader":
        """Return this header with another slot in that place."""
        return replace(self, slots=(*self.slots[:index], slot, *self.slots[index + 1 :]))

    @classmethod
    def parse(cls, head: bytes, *, is_detached: bool = False) -> Self:
        """Read a header from the first bytes of a volume.

        Args:
            head: At least :data:`HEADER_BYTES`; a shorter volume is padded with zeroes.
            is_detached: It is kept apart from the data.

        Raises:
            QMPError: It is none, is damaged, or needs what there is not; with QEMU's text.
        """
        (magic, version, cipher_name, cipher_mode, hash_name, payload, key_bytes, digest, digest_salt,
         digest_iterations, uuid) = _HEAD.unpack_from(head)  # fmt: skip
        if magic != MAGIC:
            raise QMPError("Volume is not in LUKS format")
        if version != 1:
            raise QMPError(f"LUKS version {version} is not supported")
        names = [
            _text(value, what)
            for value, what in (
                (cipher_name, "cipher name"), (cipher_mode, "cipher mode"), (hash_name, "hash spec")
            )
        ]  # fmt: skip
        raw_slots = [_SLOT.unpack_from(head, _HEAD.size + index * _SLOT.size) for index in range(SLOTS)]
        _check_places(raw_slots, payload, key_bytes, digest_iterations, is_detached=is_detached)
        check_hash(names[2])
        return cls(
            read_choice(names[0], names[1], key_bytes),
            names[2],
            payload * SECTOR_SIZE,
            digest,
            digest_salt,
            digest_iterations,
            uuid.split(b"\0")[0].decode("utf-8", "replace"),
            tuple(
                KeySlot(active == _ACTIVE, iterations, salt, sector * SECTOR_SIZE)
                for active, iterations, salt, sector, _ in raw_slots
            ),
        )

    def pack(self) -> bytes:
        """Return the header's bytes."""
        head = _HEAD.pack(
            MAGIC, 1, self.choice.algorithm.luks_name.encode(), write_mode(self.choice).encode(), self.hash_name.encode(),
            self.payload_offset // SECTOR_SIZE, self.choice.key_bytes, self.digest, self.digest_salt,
            self.digest_iterations, self.uuid.encode(),
        )  # fmt: skip
        return head + b"".join(slot.pack() for slot in self.slots)

    @staticmethod
    def slot_position(index: int) -> int:
        """Return the byte offset in the header of a slot's entry."""
        return _HEAD.size + index * _SLOT.size


def _text(value: bytes, what: str) -> str:
    if b"\0" not in value:
        raise QMPError(f"LUKS header {what} is not NUL terminated")
    return value.split(b"\0")[0].decode("utf-8", "replace")


_RawSlot = tuple[int, int, bytes, int, int]
"""State, iterations, salt, first sector, stripes."""


def _check_places(
    slots: list[_RawSlot], payload: int, key_bytes: int, digest_iterations: int, *, is_detached: bool
) -> None:
    """Refuse parts that are impossible, or lie upon one another, in QEMU's order.  Places are in sectors."""
    first_free = ALIGNMENT // SECTOR_SIZE
    length = align_up(key_bytes * STRIPES, ALIGNMENT) // SECTOR_SIZE
    if not is_detached and payload < first_free:
        raise QMPError("LUKS payload is overlapping with the header")
    if not digest_iterations:
        raise QMPError("LUKS key iteration count is zero")
    for index, slot in enumerate(slots):
        _check_slot(index, slot, first_free)
        start = slot[3]
        if not is_detached and start + length > payload:
            raise QMPError(f"Keyslot {index} is overlapping with the encrypted payload")
        for other in range(index + 1, SLOTS):
            if start < slots[other][3] + length and slots[other][3] < start + length:
                raise QMPError(f"Keyslots {index} and {other} are overlapping in the header")


def _check_slot(index: int, slot: _RawSlot, first_free: int) -> None:
    active, iterations, _, start, stripes = slot
    if stripes != STRIPES:
        raise QMPError(f"Keyslot {index} is corrupted (stripes {stripes} != {STRIPES})")
    if start < first_free:
        raise QMPError(f"Keyslot {index} is overlapping with the LUKS header")
    if active not in {_ACTIVE, _INACTIVE}:
        raise QMPError(f"Keyslot {index} state (active/disable) is corrupted")
    if active == _ACTIVE and not iterations:
        raise QMPError(f"Keyslot {index} iteration count is zero")
