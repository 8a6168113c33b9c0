"""Say how an image's guest data is encrypted, and where its LUKS header is, if it has one.

Source: qcow2 specification, "Header" (crypt_method) and "Full disk encryption header pointer".
"""

import struct
from collections.abc import Mapping
from typing import Any, Final

from qmpserver.drivers.qcow2 import extensions as ext
from qmpserver.drivers.qcow2.header import Header
from qmpserver.errors import QMPError

METHODS: Final = ("", "aes", "luks")
"""What the values of the header's `crypt_method` are called."""

POINTER: Final = struct.Struct(">QQ")
"""Host offset and length of the LUKS header, as the header extension holds them."""


def header_pointer(extensions: list[ext.Extension]) -> tuple[int, int]:
    """Return host offset and length of the LUKS header, or zeroes when there is none."""
    data = ext.find_extension(extensions, ext.CRYPTO)
    return (0, 0) if data is None else POINTER.unpack(data)


def check_pointer(header: Header, extensions: list[ext.Extension]) -> None:
    """Refuse a LUKS header that is missing, or cannot lie where it is said to.

    Raises:
        QMPError: With QEMU's text.
    """
    if METHODS[header.crypt_method] != "luks":
        return
    if ext.find_extension(extensions, ext.CRYPTO) is None:
        raise QMPError("Missing CRYPTO header for crypt method 2")
    offset, _ = header_pointer(extensions)
    if offset % header.cluster_size:
        raise QMPError(
            f"Encryption header offset '{offset}' is not a multiple of cluster size '{header.cluster_size}'"
        )


def check_format(header: Header, options: Mapping[str, Any]) -> None:
    """Refuse ``BlockdevQcow2Encryption`` members that mean another encryption than the image has.

    Raises:
        QMPError: With QEMU's text.
    """
    method, wanted = METHODS[header.crypt_method], options.get("format")
    if wanted is None or wanted == method:
        return
    if not method:
        raise QMPError(f"No encryption in image header, but options specified format '{wanted}'")
    raise QMPError(f"Header reported '{method}' encryption format but options specify '{wanted}'")
