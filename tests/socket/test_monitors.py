"""Monitors that are put on chardevs while the server runs, and taken off again."""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.socket.process import Client, DaemonProcess


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with (
        DaemonProcess("--qmp", "unix:qmp.sock", folder=tmp_path),
        Client.at(tmp_path / "qmp.sock") as connected,
    ):
        yield connected


def add(client: Client, kind: str, **data: Any) -> dict[str, Any]:
    """Make a chardev with a monitor on it; return what came of the chardev."""
    made = client.execute("chardev-add", id="c", backend={"type": kind, "data": data})
    options = {"qom-type": "monitor-qmp", "id": "m", "chardev": "c"}
    assert client.execute("object-add", **options) == {"return": {}}
    result: dict[str, Any] = made["return"]
    return result


def listen_on(path: str) -> dict[str, Any]:
    return {"addr": {"type": "unix", "data": {"path": path}}, "server": True}


def converse(read_fd: int, write_fd: int) -> None:
    """Speak QMP over descriptors: see the greeting, negotiate, ask."""
    with open(read_fd, "rb", buffering=0, closefd=False) as lines:
        assert "QMP" in json.loads(lines.readline())
        os.write(write_fd, b'{"execute": "qmp_capabilities"}')
        assert json.loads(lines.readline()) == {"return": {}}
        os.write(write_fd, b'{"execute": "query-version"}')
        assert "qemu" in json.loads(lines.readline())["return"]


def test_clients_come_through_a_socket_until_the_monitor_is_deleted(tmp_path: Path, client: Client) -> None:
    add(client, "socket", **listen_on("x.sock"))
    with Client.at(tmp_path / "x.sock") as first, Client.at(tmp_path / "x.sock") as second:
        for other in (first, second):
            assert "return" in other.execute("query-version")
        assert client.execute("chardev-remove", id="c")["error"]["desc"] == "Chardev 'c' is busy"
        assert client.execute("object-del", id="m") == {"return": {}}
        assert first.is_closed_by_server()
        assert second.is_closed_by_server()
    assert client.execute("object-add", **{"qom-type": "monitor-qmp", "id": "m", "chardev": "c"}) == {
        "return": {}
    }
    with Client.at(tmp_path / "x.sock") as again:
        assert "return" in again.execute("query-version")
    assert client.execute("object-del", id="m") == {"return": {}}
    assert client.execute("chardev-remove", id="c") == {"return": {}}
    assert not (tmp_path / "x.sock").exists()


def test_a_monitor_goes_with_its_client_if_it_is_to(tmp_path: Path, client: Client) -> None:
    client.execute("chardev-add", id="c", backend={"type": "socket", "data": listen_on("x.sock")})
    options = {"qom-type": "monitor-qmp", "id": "m", "chardev": "c", "close-action": "delete"}
    assert client.execute("object-add", **options) == {"return": {}}
    with Client.at(tmp_path / "x.sock") as other:
        other.execute("query-version")
    while (tmp_path / "x.sock").exists():
        client.execute("query-chardev")
    labels = [chardev["label"] for chardev in client.execute("query-chardev")["return"]]
    assert "c" not in labels
    assert client.execute("object-del", id="m")["error"]["desc"] == "object 'm' not found"


def test_a_monitor_goes_to_a_client_that_listens(tmp_path: Path, client: Client) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.settimeout(20)
        listening.bind(str(tmp_path / "l.sock"))
        listening.listen()
        add(client, "socket", **{**listen_on("l.sock"), "server": False})
        connection, _ = listening.accept()
        with Client(connection) as other:
            assert "return" in other.execute("query-version")


def test_a_monitor_serves_a_terminal(client: Client) -> None:
    name = add(client, "pty")["pty"]
    fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
    try:
        converse(fd, fd)
    finally:
        os.close(fd)
    (shown,) = [item for item in client.execute("query-chardev")["return"] if item["label"] == "c"]
    assert shown["filename"] == f"pty:{name}"


def test_a_monitor_serves_a_pair_of_pipes(tmp_path: Path, client: Client) -> None:
    with contextlib.ExitStack() as opened:
        fds = []
        for end in ("out", "in"):
            os.mkfifo(tmp_path / f"p.{end}")
            fds.append(os.open(tmp_path / f"p.{end}", os.O_RDWR))
            opened.callback(os.close, fds[-1])
        add(client, "pipe", device="p")
        converse(*fds)


def test_a_monitor_reads_commands_from_a_file(tmp_path: Path, client: Client) -> None:
    (tmp_path / "commands").write_text(
        '{"execute": "qmp_capabilities"}\n{"execute": "query-commands", "id": 7}\n'
    )
    add(client, "file", out="answers", **{"in": "commands"})
    while b'"id": 7' not in (tmp_path / "answers").read_bytes():
        client.execute("query-version")


def test_a_socket_that_was_passed_serves_as_a_chardev(client: Client) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        client.send_with_fds(b'{"execute": "getfd", "arguments": {"fdname": "f"}}', theirs.fileno())
        theirs.close()
        assert client.receive() == {"return": {}}
        address = {"type": "fd", "data": {"str": "f"}}
        add(client, "socket", addr=address, server=False)
        ours.settimeout(20)
        with Client(ours) as other:
            assert "return" in other.execute("query-version")


def test_a_chardev_that_cannot_serve_is_refused(client: Client) -> None:
    options = {"qom-type": "monitor-qmp", "id": "m", "chardev": "nope"}
    assert client.execute("object-add", **options)["error"]["desc"] == 'chardev "nope" not found'
    refused = client.execute(
        "chardev-add", id="u", backend={"type": "udp", "data": {"remote": listen_on("x")["addr"]}}
    )
    assert refused["error"]["desc"] == "Failed to add chardev 'u': chardev backend 'udp' is not supported"
