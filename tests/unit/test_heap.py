"""Memory that is given back is kept for the next who asks; little time goes into looking for garbage."""

import os
import subprocess
import sys

import pytest

_TABLES_COME_AND_GO = """
import resource, sys
if sys.argv[1] == "kept":
    from qmpserver import heap
    heap.prepare()
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


def test_garbage_is_looked_for_when_a_server_has_started() -> None:
    code = (
        "import gc\n"
        "from qmpserver import heap\n"
        "usual = gc.get_threshold()\n"
        "heap.prepare()\n"
        "print(gc.get_threshold()[0] > 100 * usual[0])\n"
        "heap.settle()\n"
        "print(gc.get_threshold() == usual, gc.isenabled(), gc.get_freeze_count() > 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 4
