"""Arguments, bad and good, as real QEMU judges them and as we do."""

import json
import subprocess
from typing import Any

import pytest

from qmpserver.errors import ParameterError
from qmpserver.schema.model import Schema
from tests.peers import need

Row = tuple[str, Any, str | None]

DEVICE: dict[str, Any] = {"device": "a"}
RAW: dict[str, Any] = {"driver": "raw", "node-name": "n"}
QCOW2: dict[str, Any] = {"driver": "qcow2", "node-name": "n", "file": "x"}
NULL: dict[str, Any] = {"driver": "null-co"}
IOTHREAD: dict[str, Any] = {"qom-type": "iothread", "id": "t"}

NO_INT64: list[Any] = ["1", 1.0, 1.5, 1e3, 1 << 63, -(1 << 63) - 1, 1 << 64, True, None, [], {}]
NO_UINT64: list[Any] = [1 << 64, -(1 << 63) - 1, 1.0, "1", None]
NO_BOOLEAN: list[Any] = [1, "on", None, []]
NO_REFERENCE: list[Any] = [1, None, [], True]

ROWS: list[Row] = [
    ("block-job-set-speed", None, "Parameter 'device' is missing"),
    ("block-job-set-speed", {}, "Parameter 'device' is missing"),
    ("block-job-set-speed", {"device": 1}, "Invalid parameter type for 'device', expected: string"),
    ("block-job-set-speed", {"device": None}, "Invalid parameter type for 'device', expected: string"),
    ("block-job-set-speed", {"speed": 1}, "Parameter 'device' is missing"),
    ("block-job-set-speed", DEVICE, "Parameter 'speed' is missing"),
    ("block-job-set-speed", DEVICE | {"x": 1}, "Parameter 'speed' is missing"),
    ("block-job-set-speed", DEVICE | {"speed": 1, "x": 1}, "Parameter 'x' is unexpected"),
    ("block-job-set-speed", DEVICE | {"speed": 1, "Speed": 1}, "Parameter 'Speed' is unexpected"),
    *(
        (
            "block-job-set-speed",
            DEVICE | {"speed": wrong},
            "Invalid parameter type for 'speed', expected: integer",
        )
        for wrong in NO_INT64
    ),
    ("block-job-set-speed", DEVICE | {"speed": (1 << 63) - 1}, None),
    ("block-job-set-speed", DEVICE | {"speed": -(1 << 63)}, None),
    *(
        (
            "block-job-cancel",
            DEVICE | {"force": wrong},
            "Invalid parameter type for 'force', expected: boolean",
        )
        for wrong in NO_BOOLEAN
    ),
    ("block-job-cancel", DEVICE | {"force": True}, None),
    ("block-stream", DEVICE | {"on-error": "x"}, "Parameter 'on-error' does not accept value 'x'"),
    ("block-stream", DEVICE | {"on-error": ""}, "Parameter 'on-error' does not accept value ''"),
    ("block-stream", DEVICE | {"on-error": "Stop"}, "Parameter 'on-error' does not accept value 'Stop'"),
    ("block-stream", DEVICE | {"on-error": 1}, "Invalid parameter type for 'on-error', expected: string"),
    ("block-stream", DEVICE | {"on-error": None}, "Invalid parameter type for 'on-error', expected: string"),
    ("block-stream", DEVICE | {"job_id": "x"}, "Parameter 'job_id' is unexpected"),
    (
        "block-stream",
        DEVICE | {"base": 1, "job-id": 2},
        "Invalid parameter type for 'job-id', expected: string",
    ),
    ("block-stream", DEVICE | {"speed": -1, "on-error": "stop"}, None),
    ("query-block-jobs", {"a": 1}, "Parameter 'a' is unexpected"),
    ("query-block-jobs", {}, None),
    ("query-version", {"a": None}, "Parameter 'a' is unexpected"),
    ("job-pause", {"device": "a"}, "Parameter 'id' is missing"),
    ("blockdev-add", None, "Parameter 'driver' is missing"),
    ("blockdev-add", {"node-name": 1}, "Parameter 'driver' is missing"),
    ("blockdev-add", {"driver": 1}, "Invalid parameter type for 'driver', expected: string"),
    ("blockdev-add", {"driver": "no"}, "Parameter 'driver' does not accept value 'no'"),
    ("blockdev-add", {"driver": "no", "node-name": 1}, "Parameter 'driver' does not accept value 'no'"),
    (
        "blockdev-add",
        {"driver": "raw", "node-name": 1},
        "Invalid parameter type for 'node-name', expected: string",
    ),
    ("blockdev-add", RAW, "Parameter 'file' is missing"),
    ("blockdev-add", RAW | {"x": 1}, "Parameter 'file' is missing"),
    ("blockdev-add", RAW | {"discard": "x"}, "Parameter 'discard' does not accept value 'x'"),
    *(
        ("blockdev-add", RAW | {"file": wrong}, "Invalid parameter type for 'file', expected: BlockdevRef")
        for wrong in NO_REFERENCE
    ),
    ("blockdev-add", RAW | {"file": {}}, "Parameter 'file.driver' is missing"),
    ("blockdev-add", RAW | {"file": {"driver": "no"}}, "Parameter 'driver' does not accept value 'no'"),
    ("blockdev-add", RAW | {"file": {"driver": "file"}}, "Parameter 'file.filename' is missing"),
    (
        "blockdev-add",
        RAW | {"file": {"driver": "file", "filename": 1}},
        "Invalid parameter type for 'file.filename', expected: string",
    ),
    ("blockdev-add", RAW | {"file": NULL | {"x": 1}}, "Parameter 'file.x' is unexpected"),
    ("blockdev-add", RAW | {"x": 1, "file": NULL | {"y": 1}}, "Parameter 'file.y' is unexpected"),
    ("blockdev-add", RAW | {"x": 1, "file": NULL}, "Parameter 'x' is unexpected"),
    (
        "blockdev-add",
        RAW | {"file": RAW | {"file": 1}},
        "Invalid parameter type for 'file', expected: BlockdevRef",
    ),
    ("blockdev-add", RAW | {"file": RAW | {"file": {}}}, "Parameter 'file.file.driver' is missing"),
    (
        "blockdev-add",
        RAW | {"file": {"driver": "raw", "discard": 1, "file": NULL | {"discard": "x"}}},
        "Invalid parameter type for 'file.discard', expected: string",
    ),
    (
        "blockdev-add",
        RAW | {"file": RAW | {"file": NULL | {"discard": "x"}}},
        "Parameter 'discard' does not accept value 'x'",
    ),
    (
        "blockdev-add",
        QCOW2 | {"backing": 1},
        "Invalid parameter type for 'backing', expected: BlockdevRefOrNull",
    ),
    ("blockdev-add", QCOW2 | {"backing": None}, None),
    ("blockdev-add", QCOW2 | {"cache": "x"}, "Invalid parameter type for 'cache', expected: object"),
    (
        "blockdev-add",
        QCOW2 | {"cache": {"direct": 1}},
        "Invalid parameter type for 'cache.direct', expected: boolean",
    ),
    ("blockdev-add", QCOW2 | {"cache": {"x": 1}}, "Parameter 'cache.x' is unexpected"),
    ("blockdev-add", QCOW2 | {"encrypt": 1}, "Invalid parameter type for 'encrypt', expected: object"),
    ("blockdev-add", QCOW2 | {"encrypt": {}}, "Parameter 'encrypt.format' is missing"),
    ("blockdev-add", QCOW2 | {"encrypt": {"format": "x"}}, "Parameter 'format' does not accept value 'x'"),
    (
        "blockdev-add",
        QCOW2 | {"overlap-check": 1},
        "Invalid parameter type for 'overlap-check', expected: Qcow2OverlapChecks",
    ),
    ("blockdev-add", QCOW2 | {"overlap-check": "x"}, "Parameter 'overlap-check' does not accept value 'x'"),
    (
        "blockdev-add",
        QCOW2 | {"overlap-check": {"template": "x"}},
        "Parameter 'template' does not accept value 'x'",
    ),
    (
        "blockdev-add",
        QCOW2 | {"overlap-check": {"main-header": 1}},
        "Invalid parameter type for 'overlap-check.main-header', expected: boolean",
    ),
    ("blockdev-add", QCOW2 | {"overlap-check": {"x": 1}}, "Parameter 'overlap-check.x' is unexpected"),
    (
        "blockdev-add",
        QCOW2 | {"cache-size": 1.5},
        "Invalid parameter type for 'cache-size', expected: integer",
    ),
    (
        "blockdev-add",
        QCOW2 | {"cache-clean-interval": "1"},
        "Invalid parameter type for 'cache-clean-interval', expected: integer",
    ),
    *(
        ("blockdev-add", NULL | {"latency-ns": wrong}, "Parameter 'latency-ns' expects uint64")
        for wrong in NO_UINT64
    ),
    (
        "blockdev-add",
        RAW | {"file": NULL | {"latency-ns": 1.5}},
        "Parameter 'file.latency-ns' expects uint64",
    ),
    ("blockdev-add", NULL | {"latency-ns": (1 << 64) - 1}, None),
    ("blockdev-add", NULL | {"latency-ns": -1}, None),
    ("blockdev-del", {}, "Parameter 'node-name' is missing"),
    ("object-add", {"id": 1}, "Parameter 'qom-type' is missing"),
    ("object-add", {"qom-type": "x"}, "Parameter 'qom-type' does not accept value 'x'"),
    ("object-add", {"qom-type": "iothread"}, "Parameter 'id' is missing"),
    ("object-add", IOTHREAD | {"x": 1}, "Parameter 'x' is unexpected"),
    (
        "object-add",
        IOTHREAD | {"poll-max-ns": "x"},
        "Invalid parameter type for 'poll-max-ns', expected: integer",
    ),
    (
        "object-add",
        {"qom-type": "secret", "id": "s", "format": "x"},
        "Parameter 'format' does not accept value 'x'",
    ),
    (
        "object-add",
        {"qom-type": "secret", "id": "s", "data": 1},
        "Invalid parameter type for 'data', expected: string",
    ),
]
"""What every QEMU from 7.2 to 11.1 says alike."""

ONLY_NEW_QEMU: list[Row] = [
    (
        "object-add",
        IOTHREAD | {"poll-weight": 1.5},
        "Invalid parameter type for 'poll-weight', expected: integer",
    ),
    ("blockdev-add", NULL | {"active": 1}, "Invalid parameter type for 'active', expected: boolean"),
    ("query-block", {"flat": 1}, "Invalid parameter type for 'flat', expected: boolean"),
    (
        "block-stream",
        DEVICE | {"backing-mask-protocol": 1},
        "Invalid parameter type for 'backing-mask-protocol', expected: boolean",
    ),
]
"""What 11.1 was seen to say, where older ones do not know the member."""

SESSION_ONLY: list[Row] = [
    ("qmp_capabilities", {"enable": ["x"]}, "Parameter 'null' does not accept value 'x'"),
    ("qmp_capabilities", {"enable": ["oob", 1]}, "Invalid parameter type for 'enable[1]', expected: string"),
    ("qmp_capabilities", {"enable": "oob"}, "Invalid parameter type for 'enable', expected: array"),
    ("qmp_capabilities", {"enable": ["oob"]}, None),
]
"""What 11.1 was seen to say before a session's first command is done."""


def row_name(row: Row) -> str:
    return f"{row[0]} {json.dumps(row[1])}"


def judged_by(schema: Schema, row: Row) -> str | None:
    try:
        schema.commands[row[0]].check(row[1])
    except ParameterError as error:
        return error.description
    return None


@pytest.mark.parametrize("row", [*ROWS, *ONLY_NEW_QEMU, *SESSION_ONLY], ids=row_name)
def test_we_say_what_qemu_says(schema: Schema, row: Row) -> None:
    assert judged_by(schema, row) == row[2]


def ask_qemu(storage_daemon: str, rows: list[Row]) -> list[str | None]:
    """Send every row over one session and return the texts about parameters."""
    requests = [{"execute": "qmp_capabilities"}]
    requests += [
        {"execute": command} | ({} if arguments is None else {"arguments": arguments})
        for command, arguments, _ in rows
    ]
    run = subprocess.run(
        [storage_daemon, "--chardev", "stdio,id=c", "--monitor", "chardev=c"],
        input="\n".join(json.dumps(request) for request in [*requests, {"execute": "quit"}]),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    replies = [
        reply for line in run.stdout.splitlines() if not {"QMP", "event"} & (reply := json.loads(line)).keys()
    ]
    texts = [reply.get("error", {}).get("desc") for reply in replies[1:-1]]
    return [
        text if text and text.startswith(("Parameter '", "Invalid parameter type")) else None
        for text in texts
    ]


def test_qemu_says_what_is_written_here() -> None:
    storage_daemon = need("qemu-storage-daemon")
    said = ask_qemu(storage_daemon, ROWS)
    assert dict(zip(map(row_name, ROWS), said, strict=True)) == {row_name(row): row[2] for row in ROWS}
