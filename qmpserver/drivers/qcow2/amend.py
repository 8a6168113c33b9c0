"""Change options of an image that it was created with.

Each step is one switch of the header from the old state to the new, so that a power cut leaves the one or the
other.  Changed are version, width of the reference counts, lazy reference counts, size, the name of the
external data file, and whether that is a raw image, which only can be given up.

Source: qcow2 specification, "Header".
"""

from dataclasses import dataclass
from typing import Any, Final

from qmpserver.drivers.qcow2 import extensions as ext
from qmpserver.drivers.qcow2.amend_zeroes import allocate_zeroes
from qmpserver.drivers.qcow2.backing import store_data_file_name, store_version
from qmpserver.drivers.qcow2.header import (
    AUTOCLEAR_DATA_FILE_RAW,
    COMPAT_LAZY_REFCOUNTS,
    HEADER_LENGTH,
    V2_LENGTH,
)
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.opening import OpenImage
from qmpserver.drivers.qcow2.snapshot_change import SnapshotChange
from qmpserver.drivers.qcow2.switching import switch_to
from qmpserver.errors import QMPError
from qmpserver.units import is_power_of_two

_AMENDABLE: Final = {
    "version", "refcount-bits", "lazy-refcounts", "size", "backing-file", "backing-fmt", "data-file",
    "data-file-raw",
}  # fmt: skip
_V3_NEEDED: Final = "compatibility level 1.1 and above (use compat=1.1 or greater)"


@dataclass(frozen=True, slots=True)
class Amendment:
    """What an image is to be like.

    Attributes:
        version: 2 or 3.
        refcount_bits: The width of a reference count.
        lazy_refcounts: Whether lazy reference counts are asked for.
        size: The virtual disk's size in bytes.
        data_file: The name of the external data file to store, or empty for none.
        data_file_raw: Whether that file is to be a raw image of the same content.
    """

    version: int
    refcount_bits: int
    lazy_refcounts: bool
    size: int
    data_file: str
    data_file_raw: bool

    @classmethod
    def parse(cls, image: Image, options: dict[str, Any]) -> "Amendment":
        """Read options under their wire names; what is not given is as it is.

        Raises:
            QMPError: An option cannot be changed, or not to this value.
        """
        header = image.header
        for name in options:
            if name not in _AMENDABLE:
                raise QMPError(
                    f"Invalid parameter '{name}'\nThis option is only supported for image creation"
                )
        stored_format = ext.name_to_text(ext.find_extension(image.extensions, ext.BACKING_FORMAT) or b"")
        backing = (image.backing_name or "", stored_format)
        wanted = (options.get("backing-file", backing[0]), options.get("backing-fmt", backing[1]))
        if wanted != backing:
            raise QMPError("Cannot amend the backing file\nYou can use 'qemu-img rebase' instead.")
        if "data-file" in options and not image.is_external:
            raise QMPError("data-file can only be set for images that use an external data file")
        if options.get("data-file-raw") and not image.is_external_raw:
            raise QMPError("data-file-raw cannot be set on existing images")
        version = {"v2": 2, "v3": 3}[options["version"]] if "version" in options else header.version
        made = cls(
            version=version,
            refcount_bits=options.get("refcount-bits", 1 << header.refcount_order),
            lazy_refcounts=options.get("lazy-refcounts", image.lazy_refcounts and version > 2),
            size=options.get("size", header.size),
            data_file=options.get("data-file", _data_file_name(image)),
            data_file_raw=options.get("data-file-raw", image.is_external_raw),
        )
        made.check(is_width_given="refcount-bits" in options)
        return made

    def check(self, *, is_width_given: bool) -> None:
        """Refuse values that cannot be had together.

        Raises:
            QMPError: With QEMU's text.
        """
        if not is_power_of_two(self.refcount_bits) or self.refcount_bits > 64:
            raise QMPError("Refcount width must be a power of two and may not exceed 64 bits")
        if self.version == 2 and self.refcount_bits != 16:
            if not is_width_given:
                raise QMPError("compat=0.10 requires refcount_bits=16")
            needed = _V3_NEEDED.replace("and above", "or above")
            raise QMPError(f"Refcount widths other than 16 bits require {needed}")
        if self.version == 2 and self.lazy_refcounts:
            raise QMPError(f"Lazy refcounts only supported with {_V3_NEEDED}")


def _data_file_name(image: Image) -> str:
    return ext.name_to_text(ext.find_extension(image.extensions, ext.DATA_FILE) or b"")


async def amend_image(parts: OpenImage, wanted: Amendment) -> None:
    """Make the image what is wanted.  Nothing uses it meanwhile, and everything of it is on disk.

    Raises:
        QMPError: It cannot be that; the steps before this one are done.
        OSError: Something could not be read or written.
    """
    image = parts.image
    image.check_sound()
    if wanted.version < image.header.version:
        _check_downgrade(parts, wanted)
    elif wanted.version > image.header.version:
        await store_version(image, image.header._replace(version=3, header_length=HEADER_LENGTH))
    if wanted.refcount_bits != 1 << image.header.refcount_order:
        await _change_width(parts, wanted.refcount_bits)
    if wanted.lazy_refcounts != image.lazy_refcounts:
        await image.update_header(compatible=image.header.compatible ^ COMPAT_LAZY_REFCOUNTS)
        await image.child.flush()
    if wanted.data_file != _data_file_name(image):
        await store_data_file_name(image, wanted.data_file)
    if wanted.data_file_raw != image.is_external_raw:
        await image.update_header(autoclear=image.header.autoclear & ~AUTOCLEAR_DATA_FILE_RAW)
        await image.child.flush()
    if wanted.size != image.header.size:
        await parts.resizer.truncate(wanted.size)
        await parts.committer.flush()
    if wanted.version < image.header.version:
        await allocate_zeroes(parts)
        old = image.header._replace(
            version=2, header_length=V2_LENGTH, incompatible=0, compatible=0, autoclear=0
        )
        await store_version(image, old)


def _check_downgrade(parts: OpenImage, wanted: Amendment) -> None:
    header = parts.image.header
    if parts.image.is_external:
        raise QMPError("Cannot downgrade an image with a data file")
    if parts.bitmaps.entries:
        # QEMU does it, and the bitmaps are lost.
        raise QMPError("Cannot downgrade an image with persistent bitmaps")
    if header.incompatible:
        raise QMPError(f"Cannot downgrade an image with incompatible features {header.incompatible:#x} set")
    if any(entry.disk_size not in {None, wanted.size} for entry in parts.snapshots.entries):
        raise QMPError("Internal snapshots prevent downgrade of image")


async def _change_width(parts: OpenImage, bits: int) -> None:
    """Write all reference counts anew, in another width.

    Raises:
        QMPError: One of them does not fit.
    """
    change = SnapshotChange(parts.image)
    await change.begin()
    too_high = change.first_above((1 << bits) - 1)
    if too_high is not None:
        raise QMPError(
            f"Cannot decrease refcount entry width to {bits} bits: Cluster at offset {too_high:#x} has a "
            f"refcount of {change.count(too_high)}"
        )
    await switch_to(parts, change, refcount_order=bits.bit_length() - 1)
