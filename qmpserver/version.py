"""State which qmpserver this is, and which QEMU's wire it speaks."""

__version__ = "0.1.0"

QEMU_VERSION = (11, 1, 2)
"""The QMP wire is QEMU's of this version; the greeting says so (major, minor, micro)."""
