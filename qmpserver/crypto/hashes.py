"""Hash functions, and keys made of passphrases.

Source: RFC 8018, section 5.2 (PBKDF2).
"""

import functools
import hashlib
import time
from typing import Final

from qmpserver.errors import QMPError

_NAMES: Final = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160", "sm3")
_TRIAL_SECONDS: Final = 0.01
_TRIAL_ITERATIONS: Final = 1 << 12
_MAX_ITERATIONS: Final = (1 << 32) - 1
_MAX_PRODUCT: Final = (1 << 64) - 1


def check_hash(name: str) -> str:
    """Return `name` if there is a hash function of that name.

    Raises:
        QMPError: There is none, with QEMU's text.
    """
    if name not in _NAMES:
        raise QMPError(f"Hash algorithm '{name}' not supported")
    try:
        hashlib.new(name)
    except ValueError as error:
        raise QMPError(f"Hash algorithm '{name}' not supported") from error
    return name


@functools.cache
def digest_bytes(name: str) -> int:
    """Return how many bytes the hash function's digest has."""
    return hashlib.new(name).digest_size


def digest(name: str, data: bytes) -> bytes:
    """Return the digest of `data`."""
    return hashlib.new(name, data).digest()


def derive_key(name: str, password: bytes, salt: bytes, iterations: int, length: int) -> bytes:
    """Return a key of `length` bytes; it takes time, and lets other threads run meanwhile."""
    return hashlib.pbkdf2_hmac(name, password, salt, iterations, length)


def iterations_per_second(name: str, length: int) -> int:
    """Measure how many iterations of PBKDF2 this machine does in a second, for a key of `length` bytes."""
    iterations = _TRIAL_ITERATIONS
    while True:
        began = time.thread_time()
        derive_key(name, b"password", b"salt" * 8, iterations, length)
        taken = time.thread_time() - began
        if taken >= _TRIAL_SECONDS:
            return int(iterations / taken)
        iterations *= 2


def iterations_for(name: str, length: int, milliseconds: int, *, share: int = 1, least: int = 1000) -> int:
    """Return how many iterations take that time here.

    Args:
        name: The hash function.
        length: Bytes of the key to be made.
        milliseconds: The time in processor milliseconds.
        share: Only so many-th of the time is to be spent.
        least: No fewer than these.

    Raises:
        QMPError: They are too many to be stored.
    """
    if not milliseconds:
        return least
    rate = iterations_per_second(name, length)
    if not 0 <= rate * milliseconds <= _MAX_PRODUCT:
        raise QMPError(f"PBKDF iterations {rate} too large to scale: Numerical result out of range")
    wanted = rate * milliseconds // (1000 * share)
    if wanted > _MAX_ITERATIONS:
        raise QMPError(f"PBKDF iterations {wanted} larger than {_MAX_ITERATIONS}")
    return max(wanted, least)
