"""Name how much of a new or grown image is set aside before it is used."""

import enum


class Preallocation(enum.Enum):
    """QEMU's ``PreallocMode``.  Whatever is chosen, what is new reads as zeroes."""

    OFF = "off"
    """Nothing is set aside."""
    METADATA = "metadata"
    """The format maps everything; the host sets nothing aside."""
    FALLOC = "falloc"
    """The host sets the space aside without writing it."""
    FULL = "full"
    """All of it is written with zeroes."""
