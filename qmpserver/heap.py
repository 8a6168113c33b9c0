"""Spend little time on memory that is given back, or will not be.

glibc returns memory to the system as soon as 128 KiB are free at the end of its heap.  Tables and buffers of this
size come and go all the time here, and each page of them is then asked for again, and zeroed.

Python looks for garbage whenever there are some hundred new objects.  Nearly all that a start makes stays.
"""

import gc
from typing import Final

from qmpserver.units import MiB

_LARGE: Final = 4 * MiB
"""The size of a block; twice that is kept."""

_NEW_OBJECTS: Final = 100_000
"""So many are made before garbage is looked for while starting."""

_usual = gc.get_threshold()


def prepare() -> None:
    """Prepare for the start of a program of ours, which may be a short run."""
    _keep_freed_memory()
    gc.set_threshold(_NEW_OBJECTS)


def settle() -> None:
    """Note that a server has started, and that what there is now stays."""
    gc.freeze()
    gc.set_threshold(*_usual)


def _keep_freed_memory() -> None:
    """Have the C library keep up to 8 MiB that are free at the end of a heap.

    A block that was asked for by itself, and is freed, raises the limit.  mallopt(3) says so under
    ``M_MMAP_THRESHOLD``; to call that takes longer, for ctypes is loaded first.  Other C libraries are left as
    they are.
    """
    bytes(_LARGE)  # only its last page is ever touched
