"""What QEMU lacks: results that stay, waits, numbered events, reasons for programs, keys of requests."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qmpserver.monitor.client import MAX_WAITS
from tests.images import make_qcow2, qemu_img, qemu_io
from tests.socket.process import Client, DaemonProcess

OVERLAY = {"driver": "qcow2", "node-name": "top", "file": {"driver": "file", "filename": "top.qcow2"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_qcow2(tmp_path / "base.qcow2", "1M")
    qemu_io(tmp_path / "base.qcow2", "write -P 7 0 1M")
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", tmp_path / "top.qcow2")
    return tmp_path


@pytest.fixture
def daemon(folder: Path) -> Iterator[DaemonProcess]:
    with DaemonProcess("--qmp", "unix:qmp.sock", folder=folder) as running:
        yield running


@pytest.fixture
def client(folder: Path, daemon: DaemonProcess) -> Iterator[Client]:
    with Client.at(folder / "qmp.sock") as connected:
        yield connected


def ask(client: Client, command: str, request_id: int, **arguments: Any) -> None:
    """Send a command and do not wait for its reply."""
    line = json.dumps({"execute": command, "arguments": arguments, "id": request_id})
    client.send(line.encode())


def stream(client: Client, **options: Any) -> None:
    assert client.execute("blockdev-add", **OVERLAY) == {"return": {}}
    assert client.execute("block-stream", device="top", **{"job-id": "s", **options}) == {"return": {}}


def test_a_client_that_was_away_learns_how_a_job_ended(folder: Path, client: Client) -> None:
    stream(client)
    with Client.at(folder / "qmp.sock") as other:
        assert other.execute("x-wait", job="s")["return"]["job"]["outcome"] == "completed"
        assert other.execute("query-jobs") == {"return": []}
        (record,) = other.execute("x-query-job-history")["return"]
        assert (record["id"], record["type"], record["outcome"]) == ("s", "stream", "completed")
        assert record["current-progress"] == record["total-progress"] == 1 << 20
        assert other.execute("x-wait", job="s", status=["ready"])["return"] == {
            "status": "null",
            "job": record,
        }
        assert other.execute("x-query-job-history", id="t") == {"return": []}


def test_a_wait_is_answered_when_its_time_has_come_and_nobody_waits_for_it(client: Client) -> None:
    stream(client, **{"auto-finalize": False})
    ask(client, "x-wait", 1, event="BLOCK_JOB_COMPLETED", match={"device": "s"})
    ask(client, "x-wait", 2, job="s")
    assert client.execute("x-wait", job="s", status=["pending"])["return"]["status"] == "pending"
    assert client.execute("query-block-jobs")["return"][0]["status"] == "pending"
    ask(client, "job-finalize", 3, id="s")
    replies: dict[int, Any] = {}
    while len(replies) < 3:
        message = client.receive()
        if "id" in message:
            replies[message["id"]] = message["return"]
    assert replies[1]["event"]["data"]["type"] == "stream"
    assert replies[2]["status"] == "concluded"
    assert replies[2]["job"]["outcome"] == "completed"


def test_a_wait_in_vain_is_refused_and_so_is_one_for_what_cannot_come(client: Client) -> None:
    refusals: list[tuple[dict[str, Any], str]] = [
        ({"event": "BLOCK_JOB_READY", "timeout": 1}, "Waited 1 ms for event 'BLOCK_JOB_READY' in vain"),
        ({"event": "NOPE"}, "Parameter 'event' does not accept value 'NOPE'"),
        ({"job": "nope"}, "Job 'nope' is not known"),
        ({}, "Exactly one of 'job' and 'event' must be given"),
        ({"job": "a", "match": {}}, "'match' and 'since' go with 'event' only"),
        ({"event": "SHUTDOWN", "status": ["ready"]}, "'status' goes with 'job' only"),
        ({"event": "SHUTDOWN", "match": 1}, "Invalid parameter type for 'match', expected: object"),
        ({"event": "SHUTDOWN", "timeout": -1}, "Parameter 'timeout' expects a non-negative value"),
    ]
    for arguments, text in refusals:
        assert client.execute("x-wait", **arguments)["error"]["desc"] == text


def test_waits_are_bounded_and_broken_off_at_the_end(daemon: DaemonProcess, client: Client) -> None:
    for number in range(MAX_WAITS + 1):
        ask(client, "x-wait", number, event="SHUTDOWN")
    refusal = client.receive()
    assert refusal["error"]["desc"] == f"No more than {MAX_WAITS} commands may wait at once"
    ask(client, "quit", -1)
    ended = [client.receive() for _ in range(MAX_WAITS + 1)]
    texts = {message["error"]["desc"] for message in ended if "error" in message}
    assert texts == {"The server is ending"}
    assert daemon.end()[0] == 0


def test_a_wait_outlives_the_end_of_what_its_client_sends(folder: Path, daemon: DaemonProcess) -> None:
    with socket.socket(socket.AF_UNIX) as connection, Client.at(folder / "qmp.sock") as other:
        connection.connect(str(folder / "qmp.sock"))
        wait = {"execute": "x-wait", "arguments": {"job": "s", "status": ["concluded"]}}
        stream(other, **{"auto-finalize": False})
        connection.sendall(b'{"execute": "qmp_capabilities"}' + json.dumps(wait).encode())
        connection.shutdown(socket.SHUT_WR)
        assert other.execute("x-wait", job="s", status=["pending"])["return"]["status"] == "pending"
        other.execute("job-finalize", id="s")
        *_, last = connection.makefile("rb")
        assert json.loads(last)["return"]["status"] == "concluded"


def test_events_are_numbered_and_told_again_for_those_who_ask(folder: Path, client: Client) -> None:
    features = client.execute("x-client-features", **{"event-sequence": True})["return"]
    assert features["event-sequence"] is True
    assert features["last-sequence"] == 0
    stream(client, **{"auto-finalize": False})
    assert client.execute("x-wait", job="s", status=["pending"])["return"]["status"] == "pending"
    with Client.at(folder / "qmp.sock") as other:
        replay = other.execute("x-replay-events", since=1)["return"]
        numbers = [event["x-sequence"] for event in replay["events"]]
        assert numbers == list(range(2, replay["last-sequence"] + 1))
        assert "gap" not in replay
        ask(client, "job-finalize", 1, id="s")
        event = client.receive()
        assert event["x-sequence"] == replay["last-sequence"] + 1
        assert "x-sequence" not in other.receive()
        past = other.execute("x-wait", event="JOB_STATUS_CHANGE", match={"status": "running"}, since=0)[
            "return"
        ]
        assert past["event"]["data"] == {"id": "s", "status": "running"}
        refusal = other.execute("x-replay-events", since=10**6)["error"]["desc"]
        assert refusal.startswith("Parameter 'since' expects the number of an event, 0 to ")


def test_what_is_not_kept_any_more_is_said_to_be_missing(client: Client) -> None:
    for _ in range(600):
        client.execute(
            "blockdev-add", **{"driver": "null-co", "node-name": "n", "size": 0, "read-zeroes": True}
        )
        client.execute("blockdev-add", **{"driver": "null-co", "node-name": "m", "size": 0})
        client.execute("block-stream", device="n", **{"job-id": "s"})
        client.execute("x-wait", job="s")
        client.execute("blockdev-del", **{"node-name": "n"})
    replay = client.execute("x-replay-events", since=3)["return"]
    first = replay["events"][0]["x-sequence"]
    assert replay["gap"] == {"first": 4, "last": first - 1}


def test_a_refusal_names_what_is_involved_for_those_who_ask(folder: Path, client: Client) -> None:
    client.execute("x-client-features", **{"error-details": True})
    assert client.execute("blockdev-add", **OVERLAY) == {"return": {}}
    refusals: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("nope", {}, {"code": "command-not-found"}),
        ("job-pause", {"id": "x"}, {"code": "not-found", "job": "x"}),
        ("block-stream", {"device": "x"}, {"code": "not-found", "node": "x"}),
        ("blockdev-del", {"node-name": 1}, {"code": "invalid-argument", "parameter": "node-name"}),
        ("blockdev-add", {"driver": "null-co", "node-name": "top"}, {"code": "exists", "node": "top"}),
    ]
    for command, arguments, details in refusals:
        assert client.execute(command, **arguments)["error"]["x-details"] == details
    client.execute("block-stream", device="top", **{"job-id": "s", "auto-finalize": False})
    client.execute("x-wait", job="s", status=["pending"])
    busy = client.execute("blockdev-del", **{"node-name": "top"})["error"]
    assert busy["x-details"] == {"code": "in-use", "node": "top"}
    wrong = client.execute("job-pause", id="s")["error"]["x-details"]
    assert wrong == {"code": "wrong-state", "job": "s", "status": "pending"}
    with Client.at(folder / "qmp.sock") as other:
        assert set(other.execute("job-pause", id="x")["error"]) == {"class", "desc"}


def test_a_refusal_names_the_process_that_holds_an_image(folder: Path, tmp_path_factory: Any) -> None:
    second = tmp_path_factory.mktemp("second")
    with (
        DaemonProcess("--qmp", "unix:qmp.sock", folder=folder) as holder,
        DaemonProcess("--qmp", "unix:qmp.sock", folder=second),
        Client.at(folder / "qmp.sock") as first,
        Client.at(second / "qmp.sock") as client,
    ):
        assert first.execute("blockdev-add", **OVERLAY) == {"return": {}}
        client.execute("x-client-features", **{"error-details": True})
        file = {"driver": "file", "filename": str(folder / "top.qcow2")}
        error = client.execute("blockdev-add", **{**OVERLAY, "file": file})
        assert error["error"]["x-details"] == {"code": "image-locked", "pid": holder.process.pid}


def test_a_request_made_again_under_its_key_is_answered_as_before(folder: Path, client: Client) -> None:
    keyed = {"execute": "blockdev-add", "arguments": OVERLAY, "x-request-key": "k"}
    client.send(json.dumps(keyed).encode())
    assert client.receive()["error"]["desc"] == "QMP input member 'x-request-key' is unexpected"
    client.execute("x-client-features", **{"request-keys": True})
    for _ in range(2):
        client.send(json.dumps(keyed).encode())
        assert client.receive() == {"return": {}}
    with Client.at(folder / "qmp.sock") as other:
        other.execute("x-client-features", **{"request-keys": True})
        other.send(json.dumps(keyed).encode())
        assert other.receive() == {"return": {}}
        other.send(json.dumps({**keyed, "arguments": {**OVERLAY, "node-name": "n"}}).encode())
        assert other.receive()["error"]["desc"] == "Request key 'k' belongs to another request"
        other.send(json.dumps({**keyed, "x-request-key": 1}).encode())
        assert other.receive()["error"]["desc"] == "QMP input member 'x-request-key' must be a string"
    assert "error" in client.execute("blockdev-add", **OVERLAY)
