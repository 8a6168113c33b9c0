"""Take secrets for what they are: encoded, encrypted with another secret, or text.

Source: the ``SecretProperties`` members; refusals are in QEMU's words and order.
"""

import binascii
import string
from collections.abc import Callable, Mapping
from typing import Any, Final

from qmpserver.crypto.ciphers import BlockCipher, find_algorithm
from qmpserver.crypto.modes import Cbc
from qmpserver.errors import QMPError

_KEY_BYTES: Final = 32
_IV_BYTES: Final = 16
_BASE64: Final = (string.ascii_letters + string.digits + "+/=\n").encode()


def decode_secret(data: bytes, properties: Mapping[str, Any], secrets: Callable[[str], bytes]) -> bytes:
    """Return what a secret object holds.

    Args:
        data: As its user gave it.
        properties: The object's properties under their wire names: `format`, `keyid` and `iv` count.
        secrets: Where another secret is found that this one is encrypted with.

    Raises:
        QMPError: It cannot be decoded, or not be decrypted.
    """
    is_base64 = properties.get("format", "raw") == "base64"
    if properties.get("keyid") is None:
        return _from_base64(data) if is_base64 else data
    key = secrets(properties["keyid"])
    if len(key) != _KEY_BYTES:
        raise QMPError(f"Key should be {_KEY_BYTES} bytes in length")
    if properties.get("iv") is None:
        raise QMPError("IV is required to decrypt secret")
    iv = _from_base64(properties["iv"].encode())
    if len(iv) != _IV_BYTES:
        raise QMPError(f"IV should be {_IV_BYTES} bytes in length not {len(iv)}")
    return _decrypt(_from_base64(data) if is_base64 else data, key, iv)


def _from_base64(data: bytes) -> bytes:
    """Decode base64; QEMU: padding may be missing, and an incomplete end counts for nothing."""
    if data.translate(None, _BASE64):
        raise QMPError("Base64 data contains invalid characters")
    digits = data.translate(None, b"=\n")
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def _decrypt(data: bytes, key: bytes, iv: bytes) -> bytes:
    """Decrypt what was padded to whole blocks and encrypted with AES-256 in CBC mode."""
    cipher = BlockCipher(find_algorithm("aes-256"), key)
    if len(data) % cipher.block_bytes:
        raise QMPError(f"Length {len(data)} must be a multiple of block size {cipher.block_bytes}")
    if not data:
        return b""
    plain = Cbc(cipher).decrypt(memoryview(data), iv, len(data))
    # RFC 5652, section 6.3: the last byte says how many bytes were added.
    added = plain[-1]
    if added > cipher.block_bytes:
        raise QMPError(f"Incorrect number of padding bytes ({added}) found on decrypted data")
    return plain[: len(plain) - added]


def check_text(password: bytes, secret_id: str) -> bytes:
    """Return a passphrase as it is.

    Raises:
        QMPError: It is no text, with QEMU's text.
    """
    try:
        is_text = "\0" not in password.decode("utf-8")
    except UnicodeDecodeError:
        is_text = False
    if not is_text:
        raise QMPError(f"Data from secret {secret_id} is not valid UTF-8")
    return password
