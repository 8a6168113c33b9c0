"""Telling a service manager how far things are."""

import os
import socket
from pathlib import Path

import pytest

from qmpserver.cli.serving.notify import READY, STOPPING, notify


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_manager_hears_of_both_states(
    is_abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name if is_abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name if is_abstract else name)
        notify(READY)
        notify(STOPPING)
        assert manager.recv(256) == f"READY=1\nMAINPID={os.getpid()}".encode()
        assert manager.recv(256) == b"STOPPING=1"


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/notify", "@nobody-listens-here"])
def test_without_a_manager_nothing_happens(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify(READY)
