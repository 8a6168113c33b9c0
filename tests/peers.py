"""Find the real programs that behaviour is compared with."""

import contextlib
import functools
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

PATIENCE_S = 20.0
_GREETING_S = 2.0


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


@functools.cache
def peer_version(program: str) -> tuple[int, int]:
    """Return the version of a real peer, or skip the test when there is none."""
    printed = subprocess.run([need(program), "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = re.findall(r"\d+", printed)[:2]
    return int(major), int(minor)


@contextlib.contextmanager
def nbd_peer(*words: str | Path, path: Path) -> Iterator[None]:
    """Run an NBD server until the block ends; it is ready when its socket is there."""
    process = subprocess.Popen(["timeout", "-k", "1", "30", need(str(words[0])), *map(str, words[1:])])
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not path.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def qmp_connection(path: str) -> Iterator[tuple[socket.socket, BinaryIO, dict[str, Any]]]:
    """Connect to a QMP server, waiting for it to listen; give the socket, its lines and the greeting.

    Real QEMU now and then misses a client that comes while it starts, and never greets it; such a
    connection is given up and made anew.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        client = socket.socket(socket.AF_UNIX)
        lines = client.makefile("rb")
        greeting = _greeting(client, lines, path)
        if greeting is not None:
            break
        lines.close()
        client.close()
        assert time.monotonic() < deadline, "no QMP server answers"
    client.settimeout(PATIENCE_S)
    try:
        yield client, lines, greeting
    finally:
        lines.close()
        client.close()


def _greeting(client: socket.socket, lines: BinaryIO, path: str) -> dict[str, Any] | None:
    client.settimeout(_GREETING_S)
    try:
        client.connect(path)
        greeting = json.loads(lines.readline() or b"{}")
    except TimeoutError:
        return None
    except OSError:
        time.sleep(0.01)
        return None
    return greeting if "QMP" in greeting else None
