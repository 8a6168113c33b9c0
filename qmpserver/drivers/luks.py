"""The `luks` format: a disk encrypted as a whole, behind a LUKS1 header or with the header in another file.

Read, written and created; passphrases are added and erased.  Refused by name: LUKS2, and ciphers that
:mod:`qmpserver.crypto` does not have.

Source: LUKS On-Disk Format Specification 1.2.3.
"""

import errno
from typing import Any, ClassVar, Self

from qmpserver.crypto.luks_header import ALIGNMENT, MAGIC
from qmpserver.crypto.luks_keys import payload_offset
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.measuring import Contents, Measurement
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import IMAGE, ChildRole, Permission, PermissionSet
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.reopening import ReopensAsItIs
from qmpserver.driver_api.secrets import SecretSource, no_secrets
from qmpserver.drivers.encryption.child import EncryptedChild
from qmpserver.drivers.encryption.luks_amend import KeyslotChange, amend_slots
from qmpserver.drivers.encryption.luks_options import LuksOptions, passphrase
from qmpserver.drivers.encryption.luks_volume import HeaderArea, LuksVolume, NewVolume
from qmpserver.errors import QMPError
from qmpserver.units import SECTOR_SIZE, align_up, signed64

_LARGEST = (1 << 63) - 1


class LuksDriver(ReopensAsItIs, BlockDriver):
    """One open LUKS volume.

    Args:
        file: Where the data is.
        volume: The opened header.
        key_secret: The id of the secret that it was opened with, or None when it is only looked at.
    """

    format_name: ClassVar[str] = "luks"
    works_in_place: ClassVar[bool] = True
    child_specs: ClassVar[tuple[ChildSpec, ...]] = (
        ChildSpec("file", IMAGE),
        ChildSpec("header", ChildRole.METADATA, required=False),
    )
    strong_options: ClassVar[tuple[str, ...]] = ("key-secret",)

    def __init__(self, file: BlockChild, volume: LuksVolume, key_secret: str | None) -> None:
        self._file = file
        self._volume = volume
        self._key_secret = key_secret
        self._payload = volume.header.payload_offset
        self._data: BlockChild = file
        if volume.key is not None:
            self._data = EncryptedChild(file, volume.cipher, -self._payload)
        self._is_amending = False

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open a volume; see :meth:`BlockDriver.open`."""
        file, header = context.child("file"), context.child("header")
        assert file is not None
        key_secret = context.options.get("key-secret")
        password = None
        if not context.no_io:
            password = passphrase(key_secret, context.secret, option="key-secret")
        area = HeaderArea(header if header is not None else file)
        volume = await LuksVolume.open(area, password, is_detached=header is not None)
        if volume.header.payload_offset > file.size:
            raise QMPError("Could not refresh total sector count: Input/output error")
        return cls(file, volume, key_secret)

    @classmethod
    def probe(cls, head: bytes, filename: str) -> int:
        """Recognise the magic and the one version that there is a driver for."""
        del filename
        return 100 if head[:8] == MAGIC + b"\0\1" else 0

    @classmethod
    async def create(
        cls, file: BlockChild | None, options: dict[str, Any], secrets: SecretSource = no_secrets
    ) -> None:
        """Make a volume; see :class:`SupportsCreate`.  Its data is whatever `file` decrypts to.

        With `header` among the options the header goes there, and `file`, if any, gets the data's size.
        """
        header_file: BlockChild | None = options.get("header")
        size, mode = signed64(options["size"]), options.get("preallocation", "off")
        if file is None and header_file is None:
            raise QMPError("Either the parameter 'header' or 'file' must be specified")
        if file is None and mode != "off":
            raise QMPError(
                "Parameter 'preallocation' requires 'file' to be specified for formatting LUKS disk"
            )
        made = await NewVolume.make(LuksOptions.parse(options, secrets), is_detached=header_file is not None)
        payload = made.header.payload_offset
        if not 0 <= size <= _LARGEST - made.header.end:
            raise QMPError("The requested file size is too large")
        if file is not None:
            wanted = Preallocation(mode)
            if header_file is None:
                await file.truncate(0)
            await file.truncate(payload + size, Preallocation.OFF if mode == "metadata" else wanted)
        holder = header_file if header_file is not None else file
        assert holder is not None
        if header_file is not None:
            await header_file.truncate(0)
            await header_file.truncate(align_up(made.header.end, ALIGNMENT))
        await made.store(HeaderArea(holder))

    @classmethod
    async def measure(
        cls, options: dict[str, Any], contents: Contents | None, secrets: SecretSource = no_secrets
    ) -> Measurement:
        """Say how large a volume's file would be: encrypted data has no holes; see :class:`SupportsMeasure`."""
        size = options["size"] if contents is None else contents.size
        whole = payload_offset(LuksOptions.parse(options, secrets).choice) + size
        return Measurement(whole, whole)

    @property
    def size(self) -> int:
        """The size of the data, up to whole sectors."""
        return align_up(max(self._file.size - self._payload, 0), SECTOR_SIZE)

    @property
    def limits(self) -> Limits:
        """Only whole sectors can be encrypted."""
        return Limits(request_alignment=SECTOR_SIZE)

    @property
    def can_grow(self) -> bool:
        """It grows if `file` does."""
        return True

    def child_permissions(self, child: str, used: Permission, shared: Permission) -> PermissionSet | None:
        """A volume is used as its users use it, so that several may share one; a header in change is not shared."""
        if child == "header":
            used &= ~(Permission.WRITE | Permission.RESIZE)
        used |= Permission.CONSISTENT_READ
        if self._is_amending:
            used |= Permission.WRITE
            shared &= ~(Permission.CONSISTENT_READ | Permission.WRITE)
        return PermissionSet(used, shared)

    def image_info(self) -> dict[str, Any]:
        """Return the driver's share of ``ImageInfo``."""
        return {
            "encrypted": True,
            "format-specific": {"type": "luks", "data": self._volume.info()},
            "dirty-flag": False,
        }

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Read and decrypt."""
        await self._data.pread(self._payload + offset, into, flags)

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Encrypt and write."""
        await self._data.pwrite(self._payload + offset, data, flags)

    async def flush(self) -> None:
        """Flush `file`."""
        await self._file.flush()

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Set the size in bytes.  QEMU: what is new reads as whatever zeroes decrypt to.

        Raises:
            OSError: `file` cannot have that size.
        """
        if size > _LARGEST - self._payload:
            raise OSError(errno.EFBIG, "The requested file size is too large")
        await self._file.truncate(self._payload + size, preallocation)

    def begin_amend(self) -> None:
        """Need the header for this node alone; see :class:`SupportsAmendPermissions`."""
        self._is_amending = True

    def end_amend(self) -> None:
        """Go back to sharing the header."""
        self._is_amending = False

    async def amend(
        self, options: dict[str, Any], secrets: SecretSource = no_secrets, *, force: bool = False
    ) -> None:
        """Add or erase passphrases; see :class:`SupportsAmend`."""
        await amend_slots(self._volume, KeyslotChange.parse(options, self._key_secret, secrets), force=force)
