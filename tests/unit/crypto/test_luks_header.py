"""A LUKS header is read, written, and refused with QEMU's texts; no bytes lead to anything else."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmpserver.crypto.ciphers import find_algorithm
from qmpserver.crypto.luks_header import HEADER_BYTES, LuksHeader
from qmpserver.crypto.luks_keys import fill_slot, new_header, open_slot
from qmpserver.crypto.sectors import CipherChoice
from qmpserver.errors import QMPError

CHOICE = CipherChoice(find_algorithm("aes-256"), "xts", "plain64")
SLOT = 208


def made() -> tuple[LuksHeader, bytes, bytes]:
    """Return a header with one passphrase, the key, and what is in the first slot."""
    header, key = new_header(CHOICE, "sha256", 0, is_detached=False)
    slot, material = fill_slot(header, 0, key, b"pass", 0)
    return header.with_slot(0, slot), key, material


HEADER, KEY, MATERIAL = made()
GOOD = HEADER.pack()


def patched(*changes: tuple[int, bytes | int]) -> bytes:
    data = bytearray(GOOD)
    for offset, value in changes:
        new = struct.pack(">I", value) if isinstance(value, int) else value
        data[offset : offset + len(new)] = new
    return bytes(data)


def test_what_is_written_is_read_again() -> None:
    assert len(GOOD) == HEADER_BYTES
    assert LuksHeader.parse(GOOD) == HEADER
    assert LuksHeader.parse(GOOD).pack() == GOOD


def test_a_slot_opens_with_its_passphrase_only() -> None:
    assert open_slot(HEADER, 0, MATERIAL, b"pass") == KEY
    assert open_slot(HEADER, 0, MATERIAL, b"other") is None
    assert open_slot(HEADER, 0, bytes(len(MATERIAL)), b"pass") is None


def mode(name: str) -> tuple[int, bytes]:
    return 40, name.encode().ljust(32, b"\0")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([(0, b"X")], "Volume is not in LUKS format"),
        ([(6, b"\0\2")], "LUKS version 2 is not supported"),
        ([(8, b"foo\0")], "Algorithm 'foo' with key size 32 bytes not supported"),
        ([(8, b"cast5\0")], "Algorithm 'cast5' with key size 32 bytes not supported"),
        ([(8, b"a" * 32)], "LUKS header cipher name is not NUL terminated"),
        ([mode("xts")], "Unexpected cipher mode string format 'xts'"),
        ([(40, b"x" * 32)], "LUKS header cipher mode is not NUL terminated"),
        ([mode("foo-plain64")], "Cipher mode 'foo' not supported"),
        ([mode("xts-foo")], "IV generator 'foo' not supported"),
        ([mode("xts-essiv")], "Missing IV generator hash specification"),
        ([mode("xts-essiv:foo")], "Hash algorithm 'foo' not supported"),
        ([mode("xts-plain64:foo")], "Hash algorithm 'foo' not supported"),
        ([mode("xts-essiv:sha1")], "No AES cipher with key size 20 available"),
        ([(72, b"foo\0\0\0\0")], "Hash algorithm 'foo' not supported"),
        ([(72, b"f" * 32)], "LUKS header hash spec is not NUL terminated"),
        ([(104, 0)], "LUKS payload is overlapping with the header"),
        ([(104, 8)], "Keyslot 0 is overlapping with the encrypted payload"),
        ([(104, 4039)], "Keyslot 7 is overlapping with the encrypted payload"),
        ([(108, 0)], "Algorithm 'aes' with key size 0 bytes not supported"),
        ([(108, 33)], "XTS cipher key length should be a multiple of 2"),
        ([(108, 128)], "Keyslots 0 and 1 are overlapping in the header"),
        ([(164, 0)], "LUKS key iteration count is zero"),
        ([(SLOT, 5)], "Keyslot 0 state (active/disable) is corrupted"),
        ([(SLOT + 48, 5)], "Keyslot 1 state (active/disable) is corrupted"),
        ([(SLOT + 4, 0)], "Keyslot 0 iteration count is zero"),
        ([(SLOT + 44, 3999)], "Keyslot 0 is corrupted (stripes 3999 != 4000)"),
        ([(SLOT + 40, 4)], "Keyslot 0 is overlapping with the LUKS header"),
        ([(SLOT + 40, 9)], "Keyslots 0 and 1 are overlapping in the header"),
        ([(SLOT + 40, 4000)], "Keyslot 0 is overlapping with the encrypted payload"),
    ],
)
def test_a_damaged_header_is_refused_by_name(changes: list[tuple[int, bytes | int]], text: str) -> None:
    with pytest.raises(QMPError) as caught:
        LuksHeader.parse(patched(*changes))
    assert caught.value.description == text


def test_a_header_apart_from_its_data_has_no_payload_to_overlap() -> None:
    assert LuksHeader.parse(patched((104, 0)), is_detached=True).payload_offset == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, HEADER_BYTES - 8), st.binary(min_size=1, max_size=8)), max_size=4))
def test_no_damage_leads_to_anything_but_a_refusal(changes: list[tuple[int, bytes]]) -> None:
    try:
        header = LuksHeader.parse(patched(*changes))
    except QMPError:
        return
    if header.choice == HEADER.choice and max(header.digest_iterations, header.slots[0].iterations) < 5000:
        assert open_slot(header, 0, MATERIAL, b"pass") in {None, KEY}
