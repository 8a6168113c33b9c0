"""Apply a block cipher to many sectors at once.

A sector is some 32 blocks, so a loop over blocks would cost more than the cipher.  Each mode is therefore
written as few calls of the cipher on everything together, with the rest done on whole arrays.

Source: NIST SP 800-38A (ECB, CBC, CTR); IEEE 1619 (XTS).
"""

from typing import Any, Final, Protocol

from qmpserver.crypto import packages
from qmpserver.crypto.ciphers import BlockCipher

MODE_NAMES: Final = ("ecb", "cbc", "xts", "ctr")
_POLYNOMIAL: Final = (0, 1, 2, 7)
"""The exponents below 128 of the polynomial that XTS multiplies modulo."""


class Mode(Protocol):
    """A way to apply a block cipher.  `data` is sectors, `ivs` a vector for each; may be called from any thread."""

    def encrypt(self, data: memoryview, ivs: bytes, sector_size: int) -> bytes:
        """Encrypt whole sectors."""

    def decrypt(self, data: memoryview, ivs: bytes, sector_size: int) -> bytes:
        """Decrypt whole sectors."""


def _xor(left: bytes | memoryview, right: bytes | memoryview) -> bytes:
    numpy = packages.load("numpy")
    return bytes(numpy.bitwise_xor(_words(left), _words(right)))


def _words(data: bytes | memoryview) -> Any:
    return packages.load("numpy").frombuffer(data, "<u8")


class Ecb:
    """Every block by itself; vectors are of no use."""

    def __init__(self, cipher: BlockCipher) -> None:
        self._cipher = cipher

    def encrypt(self, data: memoryview, ivs: bytes, sector_size: int) -> bytes:
        """Encrypt whole sectors."""
        return self._cipher.encrypt(data)

    def decrypt(self, data: memoryview, ivs: bytes, sector_size: int) -> bytes:
        """Decrypt whole sectors."""
        return self._cipher.decrypt(data)


class Cbc:
    """Every block is mixed with the encrypted one before it; the first one with the vector."""

    def __init__(self, cipher: BlockCipher) -> None:
        self._cipher = cipher

    def encrypt(self, data: memoryview, ivs: bytes, sector_size: int) -> bytes:
        """Encrypt whole sectors: the n-th blocks of all of them together."""
        numpy = packages.load("numpy")
        words = self._cipher.block_bytes // 8
        blocks = _words(data).reshape(-1, sector_size // self._cipher.block_bytes, words)
        made = numpy.empty_like(blocks)
        before = _words(ivs).reshape(-1, words)
        for index in range(blocks.shape[1]):
            mixed = numpy.bitwise_xor(blocks[:, index], before)
            before = _words(self._cipher.encrypt(mixed.tobytes())).reshape(-1, words)
            made[:, index] = before
        return bytes(made)

    def decrypt(self, data: memoryview, ivs: bytes, sector_size: int) -> bytes:
        """Decrypt whole sectors: all blocks first, and then the mixing undone."""
        numpy = packages.load("numpy")
        words = self._cipher.block_bytes // 8
        shape = (-1, sector_size // self._cipher.block_bytes, words)
        before = numpy.empty_like(_words(data).reshape(shape))
        before[:, 1:] = _words(data).reshape(shape)[:, :-1]
        before[:, 0] = _words(ivs).reshape(-1, words)
        return _xor(self._cipher.decrypt(data), before.tobytes())


class Ctr:
    """A counter that begins at the vector is encrypted, and the data mixed with that."""

    def __init__(self, cipher: BlockCipher) -> None:
        self._cipher = cipher

    def encrypt(self, data: memoryview, ivs: bytes, sector_size: int) -> bytes:
        """Encrypt whole sectors."""
        length = self._cipher.block_bytes
        count, wrap = sector_size // length, (1 << 8 * length) - 1
        starts = (int.from_bytes(ivs[at : at + length], "big") for at in range(0, len(ivs), length))
        counters = b"".join(
            (start + index & wrap).to_bytes(length, "big") for start in starts for index in range(count)
        )
        return _xor(data, self._cipher.encrypt(counters))

    def decrypt(self, data: memoryview, ivs: bytes, sector_size: int) -> bytes:
        """Decrypt whole sectors, which is the same."""
        return self.encrypt(data, ivs, sector_size)


class Xts:
    """Every block is mixed, before and after, with a tweak that its sector and its place there determine.

    Args:
        cipher: What encrypts the data.
        tweak_cipher: What encrypts the vectors; it has another key.
    """

    def __init__(self, cipher: BlockCipher, tweak_cipher: BlockCipher) -> None:
        self._cipher = cipher
        self._tweak_cipher = tweak_cipher

    def encrypt(self, data: memoryview, ivs: bytes, sector_size: int) -> bytes:
        """Encrypt whole sectors."""
        tweaks = self._tweaks(ivs, sector_size)
        return _xor(self._cipher.encrypt(_xor(data, tweaks)), tweaks)

    def decrypt(self, data: memoryview, ivs: bytes, sector_size: int) -> bytes:
        """Decrypt whole sectors."""
        tweaks = self._tweaks(ivs, sector_size)
        return _xor(self._cipher.decrypt(_xor(data, tweaks)), tweaks)

    def _tweaks(self, ivs: bytes, sector_size: int) -> bytes:
        """Return the tweaks of all blocks.

        Each is the one before it times x in GF(2^128).  Half of a sector's tweaks give the other half, times
        a power of x, so that five steps make all 32.
        """
        numpy = packages.load("numpy")
        first = _words(self._tweak_cipher.encrypt(ivs)).reshape(-1, 2)
        tweaks = numpy.empty((len(first), sector_size // 16, 2), "<u8")
        tweaks[:, 0] = first
        known = 1
        while known < tweaks.shape[1]:
            more = min(known, tweaks.shape[1] - known)
            low, high = tweaks[:, :more, 0], tweaks[:, :more, 1]
            over = high >> numpy.uint64(64 - known)
            tweaks[:, known : known + more, 1] = high << numpy.uint64(known) | low >> numpy.uint64(64 - known)
            folded = low << numpy.uint64(known)
            for exponent in _POLYNOMIAL:
                folded ^= over << numpy.uint64(exponent)
            tweaks[:, known : known + more, 0] = folded
            known += more
        return bytes(tweaks)
