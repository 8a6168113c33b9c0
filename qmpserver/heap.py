"""Have the C library keep the memory that is given back to it.

glibc returns memory to the system as soon as 128 KiB are free at the end of its heap.  Tables and buffers of this
size come and go all the time here, and each page of them is then asked for again, and zeroed.
"""

from typing import Final

from qmpserver.units import MiB

_LARGE: Final = 4 * MiB
"""The size of a block; twice that is kept."""


def keep_freed_memory() -> None:
    """Keep up to 8 MiB that are free at the end of a heap; for the start of a program of ours.

    A block that was asked for by itself, and is freed, raises the limit.  mallopt(3) says so under
    ``M_MMAP_THRESHOLD``; to call that takes longer, for ctypes is loaded first.  Other C libraries are left as
    they are.
    """
    bytes(_LARGE)  # only its last page is ever touched
