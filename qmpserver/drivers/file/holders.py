"""Find out which process holds a lock on a file.

The kernel does not tell whose an open file's lock is, but shows in each process's ``fdinfo`` the locks of
its descriptors.  Source: proc_pid_fdinfo(5).
"""

import os
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")


def find_holder(device: int, inode: int, offset: int) -> int | None:
    """Return the number of a process that has the byte locked, or None when it is not ours to see.

    Args:
        device: The file's, as ``os.stat`` has it.
        inode: Likewise.
        offset: The byte, counted from the file's beginning.
    """
    file = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    for process in _PROC.iterdir():
        if process.name.isdecimal():
            for line in _locks(process):
                fields = line.split()
                if len(fields) >= 3 and fields[-3] == file and _covers(fields[-2], fields[-1], offset):
                    return int(process.name)
    return None


def _locks(process: Path) -> Iterator[str]:
    try:
        for descriptor in (process / "fdinfo").iterdir():
            for line in descriptor.read_text().splitlines():
                if line.startswith("lock:"):
                    yield line
    except OSError:
        # The process has ended, or is another user's.
        return


def _covers(first: str, last: str, offset: int) -> bool:
    return int(first) <= offset and (last == "EOF" or offset <= int(last))
