"""Make the initialisation vectors of sectors: what lets equal sectors differ once encrypted.

Source: LUKS On-Disk Format Specification, "IV generators"; for ESSIV, C. Fruhwirth, "New Methods in Hard
Disk Encryption", section 4.2.
"""

from collections.abc import Callable, Iterable
from typing import Final

from qmpserver.crypto.ciphers import BlockCipher, CipherAlgorithm, find_luks_algorithm
from qmpserver.crypto.hashes import digest, digest_bytes
from qmpserver.errors import QMPError

IvGenerator = Callable[[int, int, int], bytes]
"""Given the first sector's number, how many sectors, and the bytes of a vector: the vectors, one after another."""

IV_NAMES: Final = ("plain", "plain64", "essiv")


def _plain(sector: int, count: int, length: int) -> bytes:
    return _numbers((number & 0xFFFFFFFF for number in range(sector, sector + count)), length)


def _plain64(sector: int, count: int, length: int) -> bytes:
    return _numbers(range(sector, sector + count), length)


def _numbers(numbers: Iterable[int], length: int) -> bytes:
    return b"".join(number.to_bytes(8, "little").ljust(length, b"\0") for number in numbers)


def make_iv_generator(
    name: str, hash_name: str | None, algorithm: CipherAlgorithm, key: bytes
) -> IvGenerator:
    """Return the generator of that name.

    Args:
        name: One of :data:`IV_NAMES`.
        hash_name: For `essiv`, what its key is hashed with.
        algorithm: The cipher of the disk.
        key: The key of the disk.

    Raises:
        QMPError: There is none, or it does not fit the cipher.
    """
    if name == "plain":
        return _plain
    if name == "plain64":
        return _plain64
    assert hash_name is not None
    cipher = BlockCipher(essiv_algorithm(algorithm, hash_name), digest(hash_name, key))

    def essiv(sector: int, count: int, length: int) -> bytes:
        return cipher.encrypt(_plain64(sector, count, length))

    return essiv


_TITLES: Final = {"aes": "AES", "serpent": "Serpent", "twofish": "Twofish"}


def essiv_algorithm(algorithm: CipherAlgorithm, hash_name: str) -> CipherAlgorithm:
    """Return the cipher that encrypts sector numbers: the disk's own, with a digest as its key.

    Raises:
        QMPError: It takes no keys of that length, with QEMU's text.
    """
    family = algorithm.luks_name
    if family not in _TITLES:
        raise QMPError(f"Algorithm '{algorithm.name}' not supported")
    length = digest_bytes(hash_name)
    try:
        return find_luks_algorithm(family, length)
    except QMPError as error:
        raise QMPError(f"No {_TITLES[family]} cipher with key size {length} available") from error
