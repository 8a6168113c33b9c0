"""Open and make the encryption of an image's guest data.

With `luks`, a LUKS header lies in clusters of the image, and sectors are counted by their host offset.  The
old `aes` has no header: the passphrase is the key, and sectors are counted by their guest offset.  Either
way metadata and compressed clusters are stored plainly.

Source: qcow2 specification, "Header" (crypt_method), "Full disk encryption header pointer" and "Data encryption".
"""

from dataclasses import dataclass
from typing import Any, Final, Self

from qmpserver.crypto.ciphers import find_algorithm
from qmpserver.crypto.sectors import CipherChoice, SectorCipher
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.opening import ImageContext
from qmpserver.driver_api.secrets import SecretSource
from qmpserver.drivers.encryption.child import EncryptedChild
from qmpserver.drivers.encryption.luks_options import LuksOptions, passphrase
from qmpserver.drivers.encryption.luks_volume import HeaderArea, LuksVolume, NewVolume
from qmpserver.drivers.qcow2 import extensions as ext
from qmpserver.drivers.qcow2.crypt_method import METHODS, POINTER, header_pointer
from qmpserver.drivers.qcow2.header import Header
from qmpserver.errors import QMPError

_PREFIX: Final = "encrypt."
_AES: Final = CipherChoice(find_algorithm("aes-128"), "cbc", "plain64")


@dataclass(slots=True)
class Encryption:
    """The encryption of one open image.

    Attributes:
        method: `aes` or `luks`.
        key_secret: The id of the secret with the passphrase, or None when the image is only looked at.
        cipher: What encrypts guest data, or None then.
        volume: The LUKS header, if there is one.
    """

    method: str
    key_secret: str | None
    cipher: SectorCipher | None
    volume: LuksVolume | None = None

    def info(self) -> dict[str, Any]:
        """Return the ``ImageInfoSpecificQCow2Encryption`` members."""
        shown = self.volume.info() if self.volume is not None else {}
        return {"format": self.method, **shown}

    async def check_same(self, file: BlockChild, extensions: list[ext.Extension]) -> None:
        """Refuse a file whose LUKS header is for another key than that of the open image.

        Raises:
            QMPError: It is.
        """
        if self.volume is not None:
            other = await LuksVolume.open(HeaderArea(file, *header_pointer(extensions)), None)
            if other.header.digest != self.volume.header.digest:
                raise QMPError("The new file holds an image with another key")

    def seen_through(self, data: BlockChild) -> BlockChild:
        """Return the child that guest data is to be moved through, given where it is stored."""
        return data if self.cipher is None else EncryptedChild(data, self.cipher)

    def counted_from(self, data: BlockChild, guest_offset: int) -> BlockChild:
        """Return the child for data whose sectors are counted by guest offset, given how far that is from where it lies."""
        return data.counted_from(guest_offset) if isinstance(data, EncryptedChild) else data


async def open_encryption(
    context: ImageContext, file: BlockChild, header: Header, extensions: list[ext.Extension]
) -> Encryption:
    """Open the encryption of an image that has one.

    Raises:
        QMPError: The key is not to be had.
        OSError: The LUKS header cannot be read.
    """
    options = context.options.get("encrypt") or {}
    method = METHODS[header.crypt_method]
    key_secret, password = options.get("key-secret"), None
    if not context.no_io:
        password = passphrase(key_secret, context.secret, option=f"{_PREFIX}key-secret")
    if method == "aes":
        return Encryption(method, key_secret, _aes_cipher(password) if password is not None else None)
    area = HeaderArea(file, *header_pointer(extensions))
    volume = await LuksVolume.open(area, password)
    return Encryption(method, key_secret, volume.cipher if volume.key is not None else None, volume)


def _aes_cipher(password: bytes) -> SectorCipher:
    length = _AES.key_bytes
    return SectorCipher(_AES, password[:length].ljust(length, b"\0"))


@dataclass(frozen=True, slots=True)
class NewEncryption:
    """The encryption that a new image is to have.

    Attributes:
        method: `aes` or `luks`.
        volume: The LUKS header to store, if there is to be one.
    """

    method: str
    volume: NewVolume | None = None

    @classmethod
    async def make(cls, options: dict[str, Any], secrets: SecretSource) -> Self:
        """Make it as the ``QCryptoBlockCreateOptions`` members say.

        Raises:
            QMPError: The passphrase is missing, or something cannot be had.
        """
        if options["format"] != "luks":
            _aes_cipher(passphrase(options.get("key-secret"), secrets, option=f"{_PREFIX}key-secret"))
            return cls("aes")
        return cls("luks", await NewVolume.make(LuksOptions.parse(options, secrets, prefix=_PREFIX)))

    @property
    def header_bytes(self) -> int:
        """Bytes that the LUKS header takes in the image."""
        return self.volume.header.payload_offset if self.volume is not None else 0

    def pointer(self, offset: int) -> list[ext.Extension]:
        """Return the header extension that leads to the LUKS header, as a list of one or none."""
        if self.volume is None:
            return []
        return [ext.Extension(ext.CRYPTO, POINTER.pack(offset, self.header_bytes))]

    async def store(self, file: BlockChild, offset: int) -> None:
        """Store the LUKS header, if there is one.

        Raises:
            OSError: `file` cannot be written.
        """
        if self.volume is not None:
            await self.volume.store(HeaderArea(file, offset))
