"""Add passphrases to a LUKS header, and erase them.

At whatever instant the power fails, some passphrase opens the volume: a slot's key is stored before the slot
says that it holds one, and erased after the slot says that it does not; a slot that is to hold another
passphrase is doubled by a spare one meanwhile.

Source: LUKS On-Disk Format Specification, sections 4.2 and 4.4; the ``QCryptoBlockAmendOptionsLUKS`` members.
Rules and refusals are QEMU's.
"""

import os
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from qmpserver import threads
from qmpserver.crypto.luks_header import SLOTS, KeySlot, LuksHeader
from qmpserver.crypto.luks_keys import empty_slot, fill_slot
from qmpserver.crypto.secret_data import check_text
from qmpserver.driver_api.secrets import SecretSource
from qmpserver.drivers.encryption.luks_options import ITER_TIME_MS
from qmpserver.drivers.encryption.luks_volume import LuksVolume
from qmpserver.errors import QMPError

_ERASURES: Final = 40
"""How often a key that is given up is written over, as in QEMU."""


@dataclass(frozen=True, slots=True)
class KeyslotChange:
    """What is to be done to the key slots.

    Attributes:
        activates: A passphrase is to be added; else erased.
        slot: The slot concerned, or None.
        new_password: What is to be added.
        old_password: What the slots to be erased hold, or None.
        unlocking: What opens the volume.
        iter_time_ms: How long trying the new one is to take.
    """

    activates: bool
    slot: int | None
    new_password: bytes
    old_password: bytes | None
    unlocking: bytes
    iter_time_ms: int

    @classmethod
    def parse(cls, options: dict[str, Any], opened_with: str | None, secrets: SecretSource) -> Self:
        """Read and check options under their wire names.

        Args:
            options: The members.
            opened_with: The id of the secret that the volume was opened with.
            secrets: Where the passphrases are.

        Raises:
            QMPError: They do not go together, or there is no such secret.
        """
        activates, new = options["state"] == "active", options.get("new-secret")
        old, slot = options.get("old-secret"), options.get("keyslot")
        if activates:
            _refuse_if(new is None, "'new-secret' is required to activate a keyslot")
            _refuse_if(old is not None, "'old-secret' must not be given when activating keyslots")
        else:
            _refuse_if(new is not None, "'new-secret' must not be given when erasing keyslots")
            _refuse_if("iter-time" in options, "'iter-time' must not be given when erasing keyslots")
        if slot is not None and not 0 <= slot < SLOTS:
            raise QMPError(f"Invalid keyslot {slot} specified, must be between 0 and {SLOTS - 1}")
        _refuse_if(
            not activates and old is None and slot is None,
            "To erase keyslot(s), either explicit keyslot index or the password currently contained in them "
            "must be given",
        )
        unlocking = options.get("secret") or opened_with

        def password(secret_id: str | None) -> bytes:
            return check_text(secrets(secret_id), secret_id) if secret_id is not None else b""

        return cls(
            activates,
            slot,
            password(new),
            password(old) if old is not None else None,
            password(unlocking) if activates else b"",
            options.get("iter-time", ITER_TIME_MS),
        )


def _refuse_if(condition: bool, text: str) -> None:
    if condition:
        raise QMPError(text)


async def amend_slots(volume: LuksVolume, change: KeyslotChange, *, force: bool) -> None:
    """Change the key slots.  Nobody else changes the header meanwhile.

    Args:
        volume: The volume.
        change: What is to be done.
        force: Even if that loses a passphrase in use, or the last one.

    Raises:
        QMPError: It is not to be done; the header is as it was.
        OSError: The header cannot be read or written; some passphrase still opens it.
    """
    await volume.reread()
    if change.activates:
        await _add(volume, change, force=force)
    else:
        await _erase(volume, change, force=force)


async def _add(volume: LuksVolume, change: KeyslotChange, *, force: bool) -> None:
    header, index = volume.header, change.slot
    if index is None:
        free = [number for number in range(SLOTS) if not header.slots[number].is_active]
        if not free:
            raise QMPError("Can't add a keyslot - all keyslots are in use")
        index = free[0]
    is_replaced = header.slots[index].is_active
    if is_replaced and not force:
        raise QMPError(f"Refusing to overwrite active keyslot {index} - please erase it first")
    key = await volume.unlock(change.unlocking)
    slot, material = await threads.run(
        fill_slot, header, index, key, change.new_password, change.iter_time_ms
    )
    if is_replaced:
        await _replace(volume, index, slot, material)
    else:
        await _fill(volume, index, slot, material)


async def _replace(volume: LuksVolume, index: int, slot: KeySlot, material: bytes) -> None:
    """Put another key in a slot that holds one; another slot opens the volume meanwhile."""
    others = [number for number in range(SLOTS) if number != index]
    active = [number for number in others if volume.header.slots[number].is_active]
    spare = None if active else others[0]
    if spare is not None:
        await _fill(volume, spare, replace(slot, offset=volume.header.slots[spare].offset), material)
    await _give_up(volume, index)
    await _fill(volume, index, slot, material)
    if spare is not None:
        await _give_up(volume, spare)


async def _erase(volume: LuksVolume, change: KeyslotChange, *, force: bool) -> None:
    header, index = volume.header, change.slot
    active = header.active_slots
    if index is None:
        assert change.old_password is not None
        chosen = [number for number in active if await volume.try_slot(number, change.old_password)]
        _refuse_if(not chosen, "No keyslots match given (old) password for erase operation")
        _refuse_if(
            chosen == active and not force,
            "All the active keyslots match the (old) password that was given and erasing them will erase all "
            "the data in the image irreversibly - refusing operation",
        )
    else:
        await _check_erasable(volume, index, change.old_password, force=force)
        chosen = [index]
    for number in chosen:
        await _give_up(volume, number)


async def _check_erasable(volume: LuksVolume, index: int, old_password: bytes | None, *, force: bool) -> None:
    active = volume.header.active_slots
    if old_password is not None and (
        index not in active or await volume.try_slot(index, old_password) is None
    ):
        raise QMPError(f"Given keyslot {index} doesn't contain the given old password for erase operation")
    _refuse_if(index not in active and not force, f"Given keyslot {index} is already erased (inactive) ")
    _refuse_if(
        active == [index] and not force,
        f"Attempt to erase the only active keyslot {index} which will erase all the data in the image "
        "irreversibly - refusing operation",
    )


async def _fill(volume: LuksVolume, index: int, slot: KeySlot, material: bytes) -> None:
    """Store a key in a slot that holds none: the key, then how to open it, then that it is there."""
    await volume.area.write(slot.offset, material)
    await _store(volume, index, replace(slot, is_active=False))
    await _store(volume, index, slot)


async def _give_up(volume: LuksVolume, index: int) -> None:
    """Say that a slot holds no key, and then make that true."""
    slot = volume.header.slots[index]
    # A slot's entry may lie across two sectors: what says whether it holds a key changes first, by itself.
    await _store(volume, index, replace(slot, is_active=False))
    await _store(volume, index, empty_slot(slot))
    for _ in range(_ERASURES):
        await volume.area.write(slot.offset, os.urandom(volume.header.material_bytes))


async def _store(volume: LuksVolume, index: int, slot: KeySlot) -> None:
    await volume.area.write(LuksHeader.slot_position(index), slot.pack())
    volume.header = volume.header.with_slot(index, slot)
