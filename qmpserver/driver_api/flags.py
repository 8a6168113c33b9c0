"""Name what a request may ask for beyond its bytes.

Plain integers, because they are tested on every request: 0 is the common case and costs nothing.
The names are those of QEMU's ``BDRV_REQ_*``.
"""

from typing import Final

COPY_ON_READ: Final = 1 << 0
"""Read: store in the overlay what had to be fetched from below."""

PREFETCH: Final = 1 << 1
"""Read: the caller wants the copy-on-read effect only; `into` is not filled."""

FUA: Final = 1 << 2
"""Write: the data is on stable storage when the request returns."""

MAY_UNMAP: Final = 1 << 3
"""Write zeroes: space may be given back to whatever lies below."""

NO_FALLBACK: Final = 1 << 4
"""Write zeroes: raise ENOTSUP rather than write the zeroes out."""

WRITE_UNCHANGED: Final = 1 << 5
"""Write: what is read from the node afterwards is what was read before."""


WRITE_COMPRESSED: Final = 1 << 7
"""Write: store whole clusters compressed; a driver without the means refuses with ENOTSUP."""
