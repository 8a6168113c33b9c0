"""Read how a new LUKS header is to be made.

Source: the ``QCryptoBlockCreateOptionsLUKS`` members; defaults are QEMU's, refusals in its words.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

from qmpserver.crypto.ciphers import find_algorithm
from qmpserver.crypto.hashes import check_hash
from qmpserver.crypto.ivs import essiv_algorithm
from qmpserver.crypto.secret_data import check_text
from qmpserver.crypto.sectors import CipherChoice, SectorCipher
from qmpserver.driver_api.secrets import SecretSource
from qmpserver.errors import QMPError

ITER_TIME_MS: Final = 2000


def passphrase(secret_id: str | None, secrets: SecretSource, *, option: str) -> bytes:
    """Return the passphrase that an option names.

    Args:
        secret_id: What the option says, or None where it is missing.
        secrets: Where it is to be found.
        option: The option's name, for the refusal.

    Raises:
        QMPError: The option is missing, there is no such secret, or it is no text.
    """
    if secret_id is None:
        raise QMPError(f"Parameter '{option}' is required for cipher")
    return check_text(secrets(secret_id), secret_id)


@dataclass(frozen=True, slots=True)
class LuksOptions:
    """What a new LUKS header is to be like.

    Attributes:
        password: The first passphrase.
        choice: How sectors are encrypted.
        hash_name: The hash function of everything else.
        iter_time_ms: How long trying one passphrase is to take, in milliseconds.
    """

    password: bytes
    choice: CipherChoice
    hash_name: str
    iter_time_ms: int

    @classmethod
    def parse(cls, options: dict[str, Any], secrets: SecretSource, *, prefix: str = "") -> Self:
        """Read and check options under their wire names.

        Args:
            options: The members; others are passed over.
            secrets: Where the passphrase is.
            prefix: What precedes the members' names in a refusal.

        Raises:
            QMPError: Something is missing, or cannot be had.
        """
        password = passphrase(options.get("key-secret"), secrets, option=f"{prefix}key-secret")
        iv_name = options.get("ivgen-alg", "plain64")
        iv_hash = options.get("ivgen-hash-alg", "sha256" if iv_name == "essiv" else None)
        algorithm = find_algorithm(options.get("cipher-alg", "aes-256"))
        choice = CipherChoice(algorithm, options.get("cipher-mode", "xts"), iv_name, iv_hash)
        for name in filter(None, (iv_hash, hash_name := options.get("hash-alg", "sha256"))):
            check_hash(name)
        if iv_name == "essiv":
            assert iv_hash is not None
            essiv_algorithm(algorithm, iv_hash)
        # What the library lacks is found out before anything is changed.
        SectorCipher(choice, bytes(range(choice.key_bytes)))
        return cls(password, choice, hash_name, options.get("iter-time", ITER_TIME_MS))
