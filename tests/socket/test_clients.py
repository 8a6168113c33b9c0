"""Real clients, many at once, idle, dying and hostile ones; the server serves all and outlives them."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import pytest
from qemu.qmp import ExecuteError, QMPClient
from qemu.qmp.events import EventListener

from tests.differential.duel import OURS, Daemon
from tests.images import make_qcow2, qemu_check, qemu_img, qemu_io


def make_chain(folder: Path, name: str) -> None:
    make_qcow2(folder / f"{name}-base.qcow2", "8M")
    qemu_io(folder / f"{name}-base.qcow2", "write -P 7 0 4M")
    base = f"{name}-base.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, folder / f"{name}.qcow2")


class Wire:
    """A client that has negotiated, and sends whatever bytes it likes."""

    def __init__(self, daemon: Daemon) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(daemon.folder / "qmp.sock"))
        self._lines = self.socket.makefile("rb")
        assert "QMP" in self.read()
        self.send(b'{"execute": "qmp_capabilities"}')
        assert self.read() == {"return": {}}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._lines.close()
        self.socket.close()

    def send(self, data: bytes, fds: tuple[int, ...] = ()) -> None:
        """Send all of `data`, with descriptors."""
        sent = socket.send_fds(self.socket, [data], list(fds)) if fds else 0
        self.socket.sendall(data[sent:])

    def flood(self, data: bytes) -> None:
        """Send `data` over and over until the server takes no more."""
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.send(data)
        except BlockingIOError:
            pass

    def read(self) -> dict[str, Any]:
        """Return the next message."""
        message: dict[str, Any] = json.loads(self._lines.readline())
        return message

    def errors_until(self, request_id: int) -> int:
        """Count the errors up to the reply to a request."""
        errors = 0
        while "return" not in (reply := self.read()):
            assert reply["error"]["class"] == "GenericError"
            errors += 1
        assert reply["id"] == request_id
        return errors


def add_disk(daemon: Daemon) -> None:
    file = {"driver": "file", "filename": "disk.qcow2"}
    reply = daemon.execute("blockdev-add", {"driver": "qcow2", "node-name": "n", "file": file})
    assert reply == {"return": {}}


async def _stream(folder: Path, name: str) -> list[str]:
    """Add a node, stream it and take it away again, with the client library of the QEMU project."""
    client = QMPClient(name)
    await client.connect(str(folder / "qmp.sock"))
    wanted = {"BLOCK_JOB_COMPLETED", "JOB_STATUS_CHANGE"}
    seen: list[str] = []
    with client.listener(wanted, lambda event: _concerns(event, name)) as listener:
        file = {"driver": "file", "filename": f"{name}.qcow2"}
        await client.execute("blockdev-add", {"driver": "qcow2", "node-name": name, "file": file})
        await client.execute("block-stream", {"job-id": name, "device": name})
        await _until_null(listener, seen)
    await client.execute("blockdev-del", {"node-name": name})
    with pytest.raises(ExecuteError) as caught:
        await client.execute("blockdev-del", {"node-name": name})
    assert caught.value.error_class == "GenericError"
    await client.disconnect()
    return seen


def _concerns(event: Any, name: str) -> bool:
    data = event["data"]
    return name in (data.get("id"), data.get("device"))


async def _until_null(listener: EventListener, seen: list[str]) -> None:
    async for event in listener:
        data: Any = event["data"]
        status = data.get("status")
        seen.append(str(status or event["event"]))
        if status == "null":
            return


def test_ten_clients_of_the_qemu_project_stream_at_once(tmp_path: Path) -> None:
    names = [f"disk{index}" for index in range(10)]
    for name in names:
        make_chain(tmp_path, name)

    async def scenario() -> list[list[str]]:
        return list(await asyncio.gather(*(_stream(tmp_path, name) for name in names)))

    with Daemon(OURS, tmp_path) as daemon:
        stories = asyncio.run(asyncio.wait_for(scenario(), 60))
        assert daemon.execute("query-named-block-nodes") == {"return": []}
    for story in stories:
        assert story == [
            "created",
            "running",
            "waiting",
            "pending",
            "BLOCK_JOB_COMPLETED",
            "concluded",
            "null",
        ]
    for name in names:
        (tmp_path / f"{name}-base.qcow2").unlink()
        assert qemu_check(tmp_path / f"{name}.qcow2") == {}


def test_the_real_qmp_shell_works(tmp_path: Path) -> None:
    lines = [
        "blockdev-add driver=null-co node-name=n size=4096 read-zeroes=true",
        "query-named-block-nodes flat=true",
        "block-job-set-speed device=n speed=5",
        "nonsense",
        "blockdev-del node-name=n",
    ]
    shell = Path(sys.executable).parent / "qmp-shell"
    with Daemon(OURS, tmp_path):
        done = subprocess.run(
            [shell, str(tmp_path / "qmp.sock")],
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={**os.environ, "HOME": str(tmp_path)},
        )
    assert done.returncode == 0, done.stderr
    replies = [json.loads(line[line.index("{") :]) for line in done.stdout.splitlines() if '{"' in line]
    assert replies[0] == {"return": {}}
    assert replies[1]["return"][0]["image"]["virtual-size"] == 4096
    assert replies[2]["error"]["class"] == "DeviceNotActive"
    assert replies[3]["error"]["class"] == "CommandNotFound"
    assert replies[4] == {"return": {}}


def test_a_client_that_never_reads_holds_up_nobody(tmp_path: Path) -> None:
    make_chain(tmp_path, "disk")
    with Daemon(OURS, tmp_path) as daemon, Wire(daemon) as deaf:
        deaf.flood(b'{"execute": "query-qmp-schema"}' * 2000)
        for _ in range(3):
            add_disk(daemon)
            assert daemon.execute("block-stream", {"job-id": "j", "device": "n"}) == {"return": {}}
            daemon.wait("STATUS=null")
            daemon.take_events()
            assert daemon.execute("blockdev-del", {"node-name": "n"}) == {"return": {}}
        pages = int(Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1])
        assert pages * os.sysconf("SC_PAGE_SIZE") < 120 << 20


@pytest.mark.parametrize(
    "last_words",
    [
        b"",
        b'{"exec',
        b'{"execute": "block-stream", "arguments": {"device": "n", "job-id": "j"}}',
        b"\xff\xfe{",
        b"[" * 5000,
    ],
)
def test_a_client_that_dies_in_the_middle_is_forgotten(tmp_path: Path, last_words: bytes) -> None:
    with Daemon(OURS, tmp_path) as daemon:
        for _ in range(20):
            with Wire(daemon) as client:
                client.send(last_words)
        assert daemon.execute("query-jobs") == {"return": []}
        assert len(os.listdir(f"/proc/{daemon.process.pid}/fd")) < 40


def test_100_mib_of_string_and_10000_of_nesting_are_refused_and_the_client_goes_on(tmp_path: Path) -> None:
    with Daemon(OURS, tmp_path) as daemon, Wire(daemon) as client:
        client.send(b'{"execute": "')
        for _ in range(100):
            client.send(b"x" * (1 << 20))
        client.send(b'"}\xff{"execute": "query-jobs", "id": 1}')
        assert client.errors_until(1)
        client.send(b"[" * 10_000 + b'\xff{"execute": "query-jobs", "id": 2}')
        assert client.errors_until(2)
        assert daemon.execute("query-jobs") == {"return": []}


def test_a_descriptor_passed_into_a_set_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "hidden.raw"
    path.write_bytes(b"passed on" + bytes(503))
    with Daemon(OURS, tmp_path) as daemon, path.open("r+b") as opened, Wire(daemon) as client:
        client.send(b'{"execute": "add-fd", "arguments": {"fdset-id": 3}}', (opened.fileno(),))
        assert client.read()["return"]["fdset-id"] == 3
        path.unlink()
        add = {"driver": "file", "node-name": "n", "filename": "/dev/fdset/3"}
        assert daemon.execute("blockdev-add", add) == {"return": {}}
        nodes = daemon.execute("query-named-block-nodes")["return"]
        assert nodes[0]["image"]["virtual-size"] == 512


def test_jobs_of_others_are_seen_and_steered_by_any_client(tmp_path: Path) -> None:
    make_chain(tmp_path, "disk")
    with Daemon(OURS, tmp_path) as one, Wire(one) as other:
        add_disk(one)
        one.execute("block-stream", {"job-id": "j", "device": "n", "speed": 1})
        while one.execute("query-block-jobs")["return"][0]["busy"]:
            pass
        other.send(b'{"execute": "job-cancel", "arguments": {"id": "j"}, "id": "mine"}')
        names = []
        while "id" not in (message := other.read()):
            names.append(message["event"])
        assert message == {"return": {}, "id": "mine"}
        assert names.count("BLOCK_JOB_CANCELLED") == 1
        one.wait("BLOCK_JOB_CANCELLED")


def test_the_server_ends_by_command_and_removes_its_socket(tmp_path: Path) -> None:
    with Daemon(OURS, tmp_path) as daemon:
        assert daemon.execute("quit") == {"return": {}}
        assert daemon.process.wait(10) == 0
        assert not (tmp_path / "qmp.sock").exists()


def test_a_client_in_the_middle_of_a_message_does_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    with Daemon(OURS, tmp_path) as daemon, Wire(daemon) as client:
        client.send(b'{"execute": "query-jobs"')
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(15) == 0
