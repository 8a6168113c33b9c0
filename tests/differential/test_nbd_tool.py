"""The NBD server for one image beside qemu-nbd 11.1, command line by command line.

With QMPSERVER_RECORD=1 the qemu-nbd in use is recorded anew, and has to be of that version.
"""

import gc
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from qmpserver.__main__ import run
from qmpserver.cli.images import images
from qmpserver.nbd.client_handshake import Conversation, list_exports
from qmpserver.nbd.constants import TransmissionFlag
from qmpserver.schema.loader import load
from tests.differential.nbd_lines import IMAGES, REFUSED, SERVED
from tests.peers import need, peer_version

RECORDING = Path(__file__).parent / "recorded_nbd.json"
PATIENCE_S = 20.0


def _lines(text: str) -> list[str]:
    return text.splitlines()[1:]


def _words(line: str, folder: Path) -> list[str]:
    return shlex.split(line.replace("{socket}", str(folder / "s")))


def _shaped(text: str, folder: Path) -> str:
    # The wrapper of an unpacked QEMU names the program behind it.
    return re.sub(r"[^\s'`]*/qemu-nbd", "qemu-nbd", text).replace(str(folder), "FOLDER")


def _look(path: Path, is_over: Callable[[], bool] = lambda: False) -> list[list[Any]]:
    """Return what a server lists, once it lets clients in; give up when it is over without that."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE_S)
                client.connect(str(path))
                return _exports(client)
        except OSError:
            assert time.monotonic() < deadline
            if is_over():
                return []
            time.sleep(0.005)


def _exports(client: socket.socket) -> list[list[Any]]:
    talk = Conversation(list_exports())
    while not talk.is_over:
        item = talk.next()
        if isinstance(item, bytes):
            client.sendall(item)
        elif not talk.is_over:
            data = client.recv(4096)
            if not data:
                raise OSError("not let in")
            talk.feed(data)
    told = []
    for export in talk.result:
        assert export.info is not None
        flags = export.info.flags & ~TransmissionFlag.BLOCK_STATUS_PAYLOAD
        blocks = list(export.block_sizes or ())
        told.append(
            [export.name, export.description, export.info.size, int(flags), blocks, list(export.contexts)]
        )
    return told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with the images."""
    for line in _lines(IMAGES):
        program, *words = shlex.split(line)
        subprocess.run([need(program), *words], cwd=tmp_path, check=True, timeout=20)
    return tmp_path


def _recorded(name: str, lines: list[str], folder: Path) -> list[list[Any]]:
    stories = json.loads(RECORDING.read_text()) if RECORDING.exists() else {}
    if os.environ.get("QMPSERVER_RECORD") == "1":
        assert peer_version("qemu-nbd")[0] == 11, "the recording is of QEMU 11"
        stories[name] = [[line, *_theirs(line, folder, is_served=name == "served")] for line in lines]
        RECORDING.write_text(json.dumps(stories, indent=1, sort_keys=True) + "\n")
    recorded: list[list[Any]] = stories[name]
    assert [line for line, *_ in recorded] == lines, "the lines are not those that were recorded"
    return recorded


def _theirs(line: str, folder: Path, *, is_served: bool) -> list[Any]:
    process = subprocess.Popen(
        ["timeout", "-k", "1", "20", need("qemu-nbd"), *_words(line, folder)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    told = []
    if is_served:
        told = [_look(folder / "s")]
        process.terminate()
    texts = [_shaped(text, folder) for text in process.communicate()]
    return [process.returncode, *texts, *told]


@contextmanager
def _as_linked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be a program of QEMU's name in a folder, to which the tool may leave its mark on the process."""
    schema = load()
    with monkeypatch.context() as patch:
        patch.setattr(images, "_load_schema", lambda: schema)
        patch.setattr(sys, "argv", ["qemu-nbd"])
        patch.chdir(folder)
        yield
    gc.unfreeze()


def test_what_is_refused_is_refused_in_its_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = _recorded("refused", _lines(REFUSED), folder)
    for line, *outcome in expected:
        with _as_linked(folder, monkeypatch):
            status = run("qemu-nbd", _words(line, folder))
        texts = [_shaped(text, folder) for text in capfd.readouterr()]
        assert [line, status, *texts] == [line, *outcome]


def _serve(words: list[str], path: Path) -> tuple[int, list[Any]]:
    """Run the tool until it has been looked at; return its status and what was seen."""
    told: list[Any] = []
    over = threading.Event()

    def look() -> None:
        try:
            told.append(_look(path, over.is_set))
        finally:
            # Only the server expects the signal.
            if not over.is_set():
                os.kill(os.getpid(), signal.SIGTERM)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        status = run("qemu-nbd", words)
    finally:
        over.set()
        looking.join()
    return status, told


def test_what_is_served_is_offered_as_it_offers_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = _recorded("served", _lines(SERVED), folder)
    for line, *outcome in expected:
        with _as_linked(folder, monkeypatch):
            status, told = _serve(_words(line, folder), folder / "s")
        texts = [_shaped(text, folder) for text in capfd.readouterr()]
        assert [line, status, *texts, *told] == [line, *outcome]
