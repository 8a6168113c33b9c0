"""Read which cipher, mode and IV a LUKS header means, and write it.

Source: LUKS On-Disk Format Specification, "Cipher and Hash specification registry".
"""

from qmpserver.crypto.ciphers import find_luks_algorithm
from qmpserver.crypto.hashes import check_hash
from qmpserver.crypto.ivs import IV_NAMES, essiv_algorithm
from qmpserver.crypto.modes import MODE_NAMES
from qmpserver.crypto.sectors import CipherChoice
from qmpserver.errors import QMPError


def read_choice(cipher_name: str, cipher_mode: str, key_bytes: int) -> CipherChoice:
    """Make sense of a header's names.

    Args:
        cipher_name: Such as ``aes``.
        cipher_mode: Mode, IV and perhaps hash, such as ``cbc-essiv:sha256``.
        key_bytes: Bytes of the key.

    Raises:
        QMPError: It names what there is not; with QEMU's text.
    """
    mode, dash, iv = cipher_mode.partition("-")
    if not dash:
        raise QMPError(f"Unexpected cipher mode string format '{cipher_mode}'")
    iv_name, _, iv_hash = iv.partition(":")
    if iv_hash:
        check_hash(iv_hash)
    if mode not in MODE_NAMES:
        raise QMPError(f"Cipher mode '{mode}' not supported")
    if mode == "xts" and key_bytes % 2:
        raise QMPError("XTS cipher key length should be a multiple of 2")
    algorithm = find_luks_algorithm(cipher_name, key_bytes // (2 if mode == "xts" else 1))
    if iv_name not in IV_NAMES:
        raise QMPError(f"IV generator '{iv_name}' not supported")
    if iv_name == "essiv":
        if not iv_hash:
            raise QMPError("Missing IV generator hash specification")
        essiv_algorithm(algorithm, iv_hash)
    return CipherChoice(algorithm, mode, iv_name, iv_hash or None)


def write_mode(choice: CipherChoice) -> str:
    """Return a header's name for mode, IV and hash."""
    iv_hash = f":{choice.iv_hash}" if choice.iv_hash is not None else ""
    return f"{choice.mode}-{choice.iv_name}{iv_hash}"
