"""The recorded answers to malformed input are what the real storage daemon says."""

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.peers import need, qmp_connection
from tests.wire_rows import ALL, END, Row

NEW_TEXTS_SINCE = (11, 0)


@dataclass(frozen=True)
class Peer:
    """A storage daemon that listens."""

    path: str
    version: tuple[int, int]

    def answers(self, data: bytes) -> list[str]:
        """Return the error texts that a new client gets, up to the answer to the end row."""
        with qmp_connection(self.path) as (client, lines, _):
            client.sendall(b'{"execute":"qmp_capabilities"}\n')
            while b"return" not in lines.readline():
                pass  # real QEMU at times greets twice
            client.sendall(data + END)
            texts: list[str] = []
            while True:
                message = json.loads(lines.readline())
                if message.get("id") == "end":
                    return texts
                texts.append(message["error"]["desc"])


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    path = str(tmp_path_factory.mktemp("qsd") / "qmp.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        # The daemon is handed a socket that listens already, so that there is nothing to wait for.
        listening.bind(path)
        listening.listen()
        chardev = f"socket,id=c,fd={listening.fileno()},server=on,wait=off"
        process = subprocess.Popen(
            [need("qemu-storage-daemon"), "--chardev", chardev, "--monitor", "chardev=c"],
            pass_fds=[listening.fileno()],
        )
    try:
        yield Peer(path, _version(path))
    finally:
        process.kill()
        process.wait()


def _version(path: str) -> tuple[int, int]:
    with qmp_connection(path) as (_, _, greeting):
        version = greeting["QMP"]["version"]["qemu"]
        return version["major"], version["minor"]


def without_place(text: str) -> str:
    return re.sub(r"^\d+:\d+: ", "", text)


@pytest.mark.parametrize("row", ALL, ids=lambda row: repr(row.data))
def test_the_recorded_answers_are_the_real_ones(peer: Peer, row: Row) -> None:
    answers = peer.answers(row.data)
    if peer.version >= NEW_TEXTS_SINCE:
        assert answers == row.answers
    else:
        assert answers == (row.older or [without_place(text) for text in row.answers])
