"""Block ciphers, by QEMU's names for them and by those in LUKS headers."""

from dataclasses import dataclass
from typing import Any, Final

from qmpserver.crypto import packages
from qmpserver.errors import QMPError

_LIBRARY: Final = "cryptography.hazmat.primitives.ciphers"


@dataclass(frozen=True, slots=True)
class CipherAlgorithm:
    """One block cipher with one length of key.

    Attributes:
        name: QEMU's name.
        luks_name: The name in LUKS headers, which leaves the key's length to another field.
        key_bytes: Bytes of a key.
        block_bytes: Bytes that are encrypted together.
        location: Module and class that do it; empty where the library has none.
    """

    name: str
    luks_name: str
    key_bytes: int
    block_bytes: int = 16
    location: tuple[str, str] | None = None


def _aes(bits: int) -> CipherAlgorithm:
    return CipherAlgorithm(f"aes-{bits}", "aes", bits // 8, location=(f"{_LIBRARY}.algorithms", "AES"))


ALGORITHMS: Final = (
    _aes(128),
    _aes(192),
    _aes(256),
    CipherAlgorithm("cast5-128", "cast5", 16, 8, ("cryptography.hazmat.decrepit.ciphers.algorithms", "CAST5")),
    *(CipherAlgorithm(f"serpent-{bits}", "serpent", bits // 8) for bits in (128, 192, 256)),
    *(CipherAlgorithm(f"twofish-{bits}", "twofish", bits // 8) for bits in (128, 192, 256)),
    CipherAlgorithm("sm4", "sm4", 16, 16, (f"{_LIBRARY}.algorithms", "SM4")),
)  # fmt: skip
_BY_NAME: Final = {algorithm.name: algorithm for algorithm in ALGORITHMS}
_BY_LUKS_NAME: Final = {(algorithm.luks_name, algorithm.key_bytes): algorithm for algorithm in ALGORITHMS}


def find_algorithm(name: str) -> CipherAlgorithm:
    """Return the cipher that QEMU calls so.

    Raises:
        QMPError: There is none, with QEMU's text.
    """
    if name not in _BY_NAME:
        raise QMPError(f"Algorithm '{name}' not supported")
    return _BY_NAME[name]


def find_luks_algorithm(luks_name: str, key_bytes: int) -> CipherAlgorithm:
    """Return the cipher that a LUKS header names, for keys of that length.

    Raises:
        QMPError: There is none, with QEMU's text.
    """
    found = _BY_LUKS_NAME.get((luks_name, key_bytes))
    if found is None:
        raise QMPError(f"Algorithm '{luks_name}' with key size {key_bytes} bytes not supported")
    return found


class BlockCipher:
    """A block cipher with its key: whole blocks, each by itself.

    Args:
        algorithm: The cipher.
        key: Its key, of the right length.

    Raises:
        QMPError: The library lacks the cipher.
    """

    def __init__(self, algorithm: CipherAlgorithm, key: bytes) -> None:
        if algorithm.location is None:
            raise QMPError(f"Algorithm '{algorithm.name}' not supported")
        if len(key) != algorithm.key_bytes:
            raise QMPError(f"Cipher key length {len(key)} should be {algorithm.key_bytes}")
        self.block_bytes = algorithm.block_bytes
        module, name = algorithm.location
        library = packages.load(_LIBRARY)
        self._cipher: Any = library.Cipher(getattr(packages.load(module), name)(key), library.modes.ECB())
        try:
            self.encrypt(bytes(self.block_bytes))
        except packages.load("cryptography.exceptions").UnsupportedAlgorithm as error:
            raise QMPError(f"Algorithm '{algorithm.name}' not supported") from error

    def encrypt(self, blocks: bytes | memoryview) -> bytes:
        """Encrypt whole blocks.  May be called from any thread."""
        return bytes(self._cipher.encryptor().update(blocks))

    def decrypt(self, blocks: bytes | memoryview) -> bytes:
        """Decrypt whole blocks.  May be called from any thread."""
        return bytes(self._cipher.decryptor().update(blocks))
