"""Sectors in bulk come out as the library's own modes make them one by one."""

import itertools
import random
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers import modes as reference

from qmpserver.crypto.ciphers import BlockCipher, find_algorithm
from qmpserver.crypto.ivs import IV_NAMES
from qmpserver.crypto.modes import MODE_NAMES, Xts
from qmpserver.crypto.sectors import CipherChoice, SectorCipher
from qmpserver.errors import QMPError

SECTOR = 512
AES = ("aes-128", "aes-192", "aes-256")
COMPARABLE = [pair for pair in itertools.product(AES, MODE_NAMES) if pair != ("aes-192", "xts")]
"""The library has no XTS with keys of 192 bits."""


def reference_mode(name: str, iv: bytes) -> reference.ECB | reference.CBC | reference.CTR | reference.XTS:
    match name:
        case "ecb":
            return reference.ECB()
        case "cbc":
            return reference.CBC(iv)
        case "ctr":
            return reference.CTR(iv)
        case _:
            return reference.XTS(iv)


def by_the_library(choice: CipherChoice, key: bytes, ivs: list[bytes], data: bytes) -> bytes:
    parts = []
    for index, iv in enumerate(ivs):
        encryptor = Cipher(algorithms.AES(key), reference_mode(choice.mode, iv)).encryptor()
        parts.append(encryptor.update(data[index * SECTOR : (index + 1) * SECTOR]))
    return b"".join(parts)


def ivs_of(choice: CipherChoice, key: bytes, sectors: range) -> list[bytes]:
    """Make initialisation vectors by the book."""
    plain = [sector.to_bytes(16, "little") for sector in sectors]
    if choice.iv_name == "plain":
        return [iv[:4].ljust(16, b"\0") for iv in plain]
    if choice.iv_name == "plain64":
        return plain
    cipher = Cipher(algorithms.AES(sha256(key).digest()), reference.ECB())
    return [cipher.encryptor().update(iv) for iv in plain]


@pytest.mark.parametrize("iv_name", IV_NAMES)
@pytest.mark.parametrize(("name", "mode"), COMPARABLE)
def test_many_sectors_at_once_are_what_each_is_alone(name: str, iv_name: str, mode: str) -> None:
    rng = random.Random(f"{name} {iv_name} {mode}")
    choice = CipherChoice(find_algorithm(name), mode, iv_name, "sha256")
    key = rng.randbytes(choice.key_bytes)
    cipher = SectorCipher(choice, key)
    for first, count in ((0, 1), (7, 3), ((1 << 32) - 2, 5)):
        data = rng.randbytes(count * SECTOR)
        ivs = ivs_of(choice, key, range(first, first + count))
        encrypted = cipher.encrypt(first, memoryview(data))
        assert encrypted == by_the_library(choice, key, ivs, data)
        assert cipher.decrypt(first, memoryview(encrypted)) == data


@pytest.mark.parametrize("name", ["aes-192", "cast5-128", "sm4"])
def test_other_ciphers_undo_what_they_do(name: str) -> None:
    rng = random.Random(name)
    for mode, iv_name in itertools.product(MODE_NAMES, ("plain", "plain64")):
        if (name, mode) == ("cast5-128", "xts"):
            continue
        choice = CipherChoice(find_algorithm(name), mode, iv_name)
        cipher = SectorCipher(choice, rng.randbytes(choice.key_bytes))
        data = rng.randbytes(3 * SECTOR)
        encrypted = cipher.encrypt(5, memoryview(data))
        assert encrypted != data
        assert cipher.decrypt(5, memoryview(encrypted)) == data


def test_xts_gives_what_the_standard_gives() -> None:
    """IEEE 1619-2007, annex B, vector 4: AES-128, sector 0, 512 bytes that count up."""
    key = bytes.fromhex("27182818284590452353602874713526"), bytes.fromhex("31415926535897932384626433832795")
    xts = Xts(*(BlockCipher(find_algorithm("aes-128"), half) for half in key))
    encrypted = xts.encrypt(memoryview(bytes(range(256)) * 2), bytes(16), SECTOR)
    assert encrypted[:32].hex() == "27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89c"
    assert encrypted[-16:].hex() == "0a282df920147beabe421ee5319d0568"


@pytest.mark.parametrize(
    ("name", "mode", "iv_name", "iv_hash", "text"),
    [
        ("serpent-256", "xts", "plain64", None, "Algorithm 'serpent-256' not supported"),
        ("twofish-128", "cbc", "plain64", None, "Algorithm 'twofish-128' not supported"),
        ("cast5-128", "xts", "plain64", None, "Unsupported cipher mode xts"),
        ("cast5-128", "cbc", "essiv", "md5", "Algorithm 'cast5-128' not supported"),
        ("aes-256", "cbc", "essiv", "sha1", "No AES cipher with key size 20 available"),
    ],
)
def test_what_there_is_not_is_refused_by_name(
    name: str, mode: str, iv_name: str, iv_hash: str | None, text: str
) -> None:
    choice = CipherChoice(find_algorithm(name), mode, iv_name, iv_hash)
    with pytest.raises(QMPError) as caught:
        SectorCipher(choice, bytes(choice.key_bytes))
    assert caught.value.description == text


def test_a_cipher_of_no_name_is_refused() -> None:
    with pytest.raises(QMPError, match="Algorithm '3des' not supported"):
        find_algorithm("3des")
