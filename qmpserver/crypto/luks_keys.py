"""Fill key slots, open them, and make new headers.

Source: LUKS On-Disk Format Specification, sections 4.1 to 4.4.
"""

import os
from dataclasses import replace
from typing import Final

from qmpserver.crypto.hashes import derive_key, iterations_for
from qmpserver.crypto.luks_header import (
    ALIGNMENT,
    DIGEST_BYTES,
    SALT_BYTES,
    SLOTS,
    STRIPES,
    KeySlot,
    LuksHeader,
)
from qmpserver.crypto.sectors import CipherChoice, SectorCipher
from qmpserver.crypto.splitter import merge_key, split_key
from qmpserver.units import align_up

_MASTER_KEY_SHARE: Final = 8
"""Recognising the key takes an eighth of the time that a passphrase takes, as in QEMU."""


def new_header(
    choice: CipherChoice, hash_name: str, iter_time_ms: int, *, is_detached: bool
) -> tuple[LuksHeader, bytes]:
    """Make a header, all of whose key slots are empty, and the key that it is for.

    Raises:
        QMPError: So many iterations cannot be stored.
    """
    import uuid  # noqa: PLC0415 - wanted for new volumes only

    key = os.urandom(choice.key_bytes)
    step = _slot_step(choice)
    slots = tuple(KeySlot(False, 0, bytes(SALT_BYTES), ALIGNMENT + index * step) for index in range(SLOTS))
    salt = os.urandom(SALT_BYTES)
    iterations = iterations_for(hash_name, DIGEST_BYTES, iter_time_ms, share=_MASTER_KEY_SHARE)
    made = LuksHeader(
        choice,
        hash_name,
        0 if is_detached else payload_offset(choice),
        derive_key(hash_name, key, salt, iterations, DIGEST_BYTES),
        salt,
        iterations,
        str(uuid.uuid4()),
        slots,
    )
    return made, key


def payload_offset(choice: CipherChoice) -> int:
    """Return where the data begins that a new header with such a key stands before."""
    return ALIGNMENT + SLOTS * _slot_step(choice)


def _slot_step(choice: CipherChoice) -> int:
    """Return the bytes from one key slot's material to the next."""
    return align_up(choice.key_bytes * STRIPES, ALIGNMENT)


def fill_slot(
    header: LuksHeader, index: int, key: bytes, password: bytes, iter_time_ms: int
) -> tuple[KeySlot, bytes]:
    """Encrypt the key with a passphrase; return the slot, active, and what belongs at its offset.

    Raises:
        QMPError: So many iterations cannot be stored.
    """
    iterations = iterations_for(header.hash_name, header.choice.key_bytes, iter_time_ms)
    slot = replace(header.slots[index], is_active=True, iterations=iterations, salt=os.urandom(SALT_BYTES))
    split = split_key(key, STRIPES, header.hash_name).ljust(header.material_bytes, b"\0")
    return slot, _slot_cipher(header, slot, password).encrypt(0, memoryview(split))


def open_slot(header: LuksHeader, index: int, material: bytes, password: bytes) -> bytes | None:
    """Return the key that a slot holds, or None when that is not the passphrase.

    Args:
        header: The header.
        index: The slot's number.
        material: What lies at its offset, `header.material_bytes` of it.
        password: The passphrase.
    """
    slot = header.slots[index]
    split = _slot_cipher(header, slot, password).decrypt(0, memoryview(material))
    key = merge_key(split[: header.choice.key_bytes * STRIPES], STRIPES, header.hash_name)
    found = derive_key(header.hash_name, key, header.digest_salt, header.digest_iterations, DIGEST_BYTES)
    return key if found == header.digest else None


def _slot_cipher(header: LuksHeader, slot: KeySlot, password: bytes) -> SectorCipher:
    name, length = header.hash_name, header.choice.key_bytes
    return SectorCipher(header.choice, derive_key(name, password, slot.salt, slot.iterations, length))


def empty_slot(slot: KeySlot) -> KeySlot:
    """Return the slot without a key."""
    return replace(slot, is_active=False, iterations=0, salt=bytes(SALT_BYTES))
