"""Memory that is given back to the C library is kept for the next who asks."""

import os
import subprocess
import sys

import pytest

_TABLES_COME_AND_GO = """
import resource, sys
if sys.argv[1] == "kept":
    from qmpserver.heap import keep_freed_memory
    keep_freed_memory()
from array import array
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(300):
    tables = [array("Q", bytes(100_000)) for _ in range(4)]
    del tables
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    command = [sys.executable, "-c", _TABLES_COME_AND_GO, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="for the GNU C library")
def test_pages_that_come_and_go_are_asked_for_once() -> None:
    assert faults("kept") * 10 < faults("not kept")
