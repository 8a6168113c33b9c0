"""Encrypt and decrypt sectors by their numbers."""

from dataclasses import dataclass

from qmpserver.crypto.ciphers import BlockCipher, CipherAlgorithm
from qmpserver.crypto.ivs import make_iv_generator
from qmpserver.crypto.modes import Cbc, Ctr, Ecb, Mode, Xts
from qmpserver.errors import QMPError
from qmpserver.units import SECTOR_SIZE


@dataclass(frozen=True, slots=True)
class CipherChoice:
    """How sectors are encrypted, but for the key.

    Attributes:
        algorithm: The block cipher.
        mode: One of :data:`modes.MODE_NAMES`.
        iv_name: One of :data:`ivs.IV_NAMES`.
        iv_hash: What `essiv` hashes the key with; any hash that a header names besides is kept here too.
    """

    algorithm: CipherAlgorithm
    mode: str
    iv_name: str
    iv_hash: str | None = None

    @property
    def key_bytes(self) -> int:
        """Bytes of the key; XTS takes two keys of the cipher's."""
        return self.algorithm.key_bytes * (2 if self.mode == "xts" else 1)


class SectorCipher:
    """Encrypts and decrypts sectors of 512 bytes.  May be used from any thread.

    Args:
        choice: How.
        key: The key, of ``choice.key_bytes`` bytes.

    Raises:
        QMPError: Something of it is not to be had here.
    """

    sector_size = SECTOR_SIZE

    def __init__(self, choice: CipherChoice, key: bytes) -> None:
        self._mode = _make_mode(choice, key)
        self._iv_bytes = 0 if choice.mode == "ecb" else choice.algorithm.block_bytes
        self._make_ivs = make_iv_generator(choice.iv_name, choice.iv_hash, choice.algorithm, key)

    def encrypt(self, sector: int, data: memoryview) -> bytes:
        """Encrypt whole sectors, the first of which has that number."""
        return self._mode.encrypt(data, self._ivs(sector, len(data)), self.sector_size)

    def decrypt(self, sector: int, data: memoryview) -> bytes:
        """Decrypt whole sectors, the first of which has that number."""
        return self._mode.decrypt(data, self._ivs(sector, len(data)), self.sector_size)

    def _ivs(self, sector: int, length: int) -> bytes:
        if not self._iv_bytes:
            return b""
        return self._make_ivs(sector, length // self.sector_size, self._iv_bytes)


def _make_mode(choice: CipherChoice, key: bytes) -> Mode:
    algorithm = choice.algorithm
    match choice.mode:
        case "xts":
            if algorithm.block_bytes != 16:
                raise QMPError("Unsupported cipher mode xts")
            half = len(key) // 2
            return Xts(BlockCipher(algorithm, key[:half]), BlockCipher(algorithm, key[half:]))
        case "cbc":
            return Cbc(BlockCipher(algorithm, key))
        case "ctr":
            return Ctr(BlockCipher(algorithm, key))
        case _:
            return Ecb(BlockCipher(algorithm, key))
