"""Say what the cache modes mean that ``-t`` and ``-T`` name."""

from typing import NamedTuple

from qmpserver.errors import QMPError


class CacheMode(NamedTuple):
    """How an image is opened.

    Attributes:
        direct: The host's page cache is bypassed.
        no_flush: Nothing needs to reach the disk.
        writethrough: Each write is on the disk before it is done.
    """

    direct: bool = False
    no_flush: bool = False
    writethrough: bool = False

    @property
    def options(self) -> dict[str, bool]:
        """The `cache` member of ``BlockdevOptions``."""
        return {"direct": self.direct, "no-flush": self.no_flush}


MODES = {
    "none": CacheMode(direct=True),
    "off": CacheMode(direct=True),
    "directsync": CacheMode(direct=True, writethrough=True),
    "writeback": CacheMode(),
    "unsafe": CacheMode(no_flush=True),
    "writethrough": CacheMode(writethrough=True),
}

WRITEBACK = MODES["writeback"]
UNSAFE = MODES["unsafe"]


def cache_mode(text: str) -> CacheMode:
    """Return the cache mode of a name.

    Raises:
        QMPError: There is none.
    """
    if text not in MODES:
        raise QMPError(f"Invalid cache option: {text}")
    return MODES[text]
