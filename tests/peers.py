"""Find the real programs that behaviour is compared with."""

import os
import shutil

import pytest


def need(program: str) -> str:
    """Return the path of a real peer, or skip the test saying which one is missing.

    With QMPSERVER_REQUIRE_PEERS=1 a missing peer fails the test instead.  QMPSERVER_PEERS names a
    folder to look in before PATH, for comparing with another QEMU than the system's.
    """
    folder = os.environ.get("QMPSERVER_PEERS")
    found = (folder and shutil.which(program, path=folder)) or shutil.which(program)
    if found:
        return found
    if os.environ.get("QMPSERVER_REQUIRE_PEERS") == "1":
        pytest.fail(f"{program} is not installed, and QMPSERVER_REQUIRE_PEERS=1 requires it")
    pytest.skip(f"{program} is not installed")
