"""A machine that cannot be handed over goes on, with its images; one that cannot come says why."""

import json
import socket
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpserver.errors import DeviceNotFound, QMPError
from qmpserver.jobs import machine_state
from tests.unit.machine.migration.pairs import SIZE, Pair, on_pair

MIRROR = {"job_id": "j", "device": "disk", "target": "copy", "sync": "full"}


async def check_goes_on(pair: Pair) -> None:
    """See whether the source has everything, and the other side nothing."""
    assert (await pair.source.status(), await pair.source.active()) == ("running", {True})
    await pair.source.write(b"5")
    assert await pair.source.read() == b"5" * SIZE


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("unix:/no/such/socket", "Failed to connect to '/no/such/socket': No such file or directory"),
        ("tcp:127.0.0.1:1", "Failed to connect to '127.0.0.1:1': Connection refused"),
    ],
)
def test_nobody_there_to_take_it(uri: str, error: str, tmp_path: Path) -> None:
    @on_pair
    async def test(pair: Pair) -> None:
        await pair.source.do("migrate", uri=uri)
        assert await pair.source.until("failed") == ["setup", "failing", "failed"]
        assert await pair.source.migration() == ("failed", error)
        await check_goes_on(pair)

    test(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"uri": "foo:bar"}, "unknown migration protocol: foo:bar"),
        ({"uri": "unix"}, "unknown migration protocol: unix"),
        ({"uri": ""}, "unknown migration protocol: "),
        ({"uri": "tcp:x"}, "error parsing address 'x'"),
        ({"uri": "file:a,offset=q"}, "file URI has bad offset q: Invalid argument"),
        ({}, "need either 'uri' or 'channels' argument"),
        ({"channels": []}, "need either 'uri' or 'channels' argument"),
        ({"uri": "exec:cat", "resume": True}, "Cannot resume if there is no paused migration"),
    ],
)
def test_an_address_that_is_none_begins_nothing(
    arguments: dict[str, Any], error: str, tmp_path: Path
) -> None:
    @on_pair
    async def test(pair: Pair) -> None:
        with pytest.raises(QMPError) as refused:
            await pair.source.do("migrate", **arguments)
        assert refused.value.description == error
        assert (pair.source.told, await pair.source.migration()) == ([], ("none", None))

    test(tmp_path)


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("fd:nix", "File descriptor named 'nix' has not been found"),
        ("fd:999", "File descriptor '999' cannot be used: Bad file descriptor"),
        (f"fd:{'9' * 5000}", f"File descriptor '{'9' * 5000}' cannot be used: Bad file descriptor"),
        (f"fd:{10**30}", f"File descriptor '{10**30}' cannot be used: Bad file descriptor"),
        ("file:/no/such/file", "Could not create '/no/such/file': No such file or directory"),
    ],
)
def test_what_can_be_known_at_once_is_said_at_once(uri: str, error: str, tmp_path: Path) -> None:
    @on_pair
    async def test(pair: Pair) -> None:
        with pytest.raises(QMPError) as refused:
            await pair.source.do("migrate", uri=uri)
        assert refused.value.description == error
        assert (await pair.source.until("failed"), await pair.source.migration()) == (
            ["setup", "failing", "failed"],
            ("failed", error),
        )
        await check_goes_on(pair)

    test(tmp_path)


@on_pair
async def test_a_program_that_fails_has_taken_nothing(pair: Pair) -> None:
    await pair.source.do("migrate", uri="exec:cat > /dev/null; exit 3")
    told = await pair.source.until("failed")
    assert told == ["setup", "active", "STOP", "device", "failing", "RESUME", "failed"]
    assert await pair.source.migration() == ("failed", "The program ended with status 3")
    await check_goes_on(pair)


@on_pair
async def test_an_image_that_a_job_uses_keeps_the_machine(pair: Pair) -> None:
    source = pair.source
    await source.do("blockdev-add", driver="null-co", node_name="copy", size=SIZE)
    await source.do("blockdev-mirror", **MIRROR)
    await source.do("migrate", uri=f"file:{pair.folder / 'state'}")
    assert await source.until("failed") == [
        "setup",
        "active",
        "STOP",
        "device",
        "failing",
        "RESUME",
        "failed",
    ]
    assert (await source.status(), await source.active()) == ("running", {True})
    await source.do("block-job-cancel", device="j", force=True)
    await source.do("migrate", uri=f"file:{pair.folder / 'state'}")
    await source.until("completed")


@on_pair
async def test_the_other_side_goes_away_when_it_has_connected(pair: Pair) -> None:
    await pair.source.switch("pause-before-switchover")
    await pair.target.do("migrate-incoming", uri=pair.uri)
    await pair.source.do("migrate", uri=pair.uri)
    await pair.source.until("pre-switchover")
    await pair.target.server.close()
    await pair.source.do("migrate-continue", state="pre-switchover")
    assert await pair.source.until("failed") == ["device", "failing", "RESUME", "failed"]
    await check_goes_on(pair)


@pytest.mark.parametrize("cutter", ["source", "target"])
def test_a_connection_that_was_cut_carries_nothing(cutter: str, tmp_path: Path) -> None:
    @on_pair
    async def test(pair: Pair) -> None:
        migration = {"type": "migration"}
        side = pair.source if cutter == "source" else pair.target
        assert await side.do("query-yank") == []
        with pytest.raises(DeviceNotFound, match=r"^Instance not found$"):
            await side.do("yank", instances=[migration])
        await pair.source.switch("pause-before-switchover")
        await pair.target.do("migrate-incoming", uri=pair.uri)
        await pair.source.do("migrate", uri=pair.uri)
        await pair.source.until("pre-switchover")
        await pair.target.until("active")
        assert await side.do("query-yank") == [migration]
        await side.do("yank", instances=[migration])
        assert await pair.target.until("failed") == ["failed"]
        await pair.source.do("migrate-continue", state="pre-switchover")
        assert await pair.source.until("failed") == ["device", "failing", "RESUME", "failed"]
        await check_goes_on(pair)
        assert await side.do("query-yank") == []

    test(tmp_path)


@pytest.mark.parametrize("runs", [True, False])
@pytest.mark.parametrize("where", ["setup", "pre-switchover", "device"])
def test_it_is_called_off_wherever_it_stands(where: str, runs: bool, tmp_path: Path) -> None:
    @on_pair
    async def test(pair: Pair) -> None:
        source = pair.source
        if not runs:
            await source.do("stop")
        before = await source.status()
        uri = pair.uri
        if where == "pre-switchover":
            await source.switch("pause-before-switchover")
            await pair.target.do("migrate-incoming", uri=uri)
        elif where == "device":
            # It never reads.
            uri = "exec:sleep 60 < /dev/null"
            source.machine.handover.capture = _huge(source.machine.handover.capture)  # type: ignore[method-assign]
        else:
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(str(pair.folder / "busy"))
            listening.listen()
            uri = f"unix:{pair.folder / 'busy'}"
            await source.switch("pause-before-switchover")
        await source.do("migrate", uri=uri)
        if where != "setup":
            await source.until(where)
        await source.do("migrate_cancel")
        await source.do("migrate_cancel")
        told = await source.until("cancelled")
        assert told[-1] == "cancelled"
        assert told.count("cancelling") == 1
        assert (await source.migration())[0] == "cancelled"
        assert await source.status() == before
        assert await source.active() == {True}
        await source.write(b"6")
        if where == "setup":
            listening.close()

    test(tmp_path)


def _huge(capture: Any) -> Any:
    """Make a state that no pipe can hold."""

    def captured(run_state: Any) -> Any:
        state = capture(run_state)
        state.devices["x" * (4 << 20)] = 1
        return state

    return captured


# What comes in


def crafted(document: object) -> bytes:
    """Return a record of anything."""
    body = json.dumps(document).encode() if not isinstance(document, bytes) else document
    head = machine_state.pack({})[: machine_state.HEAD_LENGTH - 8]
    return head + struct.pack(">II", len(body), zlib.crc32(body)) + body


def good(pair: Pair) -> dict[str, Any]:
    """Return the state of the source."""
    handover = pair.source.machine.handover
    return handover.capture(handover.state.status).to_document()


STREAMS = {
    "nothing": b"",
    "another program's": b"QEVM\0\0\0\3" * 100,
    "a head alone": machine_state.pack({})[: machine_state.HEAD_LENGTH],
    "half a head": machine_state.pack({})[:9],
    "no JSON": crafted(b"{"),
    "no text": crafted(b'{"\xff": 1}'),
    "deep": crafted(b"[" * 100_000),
    "no document": crafted([1]),
    "no machine": crafted({"machine": None}),
    "an empty document": crafted({}),
    "a newer version": b"qmpserver state\n" + struct.pack(">III", 2, 0, 0),
    "too long": b"qmpserver state\n" + struct.pack(">III", 1, 0xFFFFFFFF, 0),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_is_none_of_ours_is_refused_by_name(name: str, tmp_path: Path) -> None:
    @on_pair
    async def test(pair: Pair) -> None:
        (pair.folder / "state").write_bytes(STREAMS[name])
        await check_refused(pair)

    test(tmp_path)


async def check_refused(pair: Pair, error: str = "load of migration failed: Invalid argument: ") -> None:
    """Let the state in the file come, and see it refused with nothing changed."""
    target = pair.target
    await target.do("migrate-incoming", uri=f"file:{pair.folder / 'state'}", exit_on_error=False)
    assert await target.until("failed") == ["setup", "active", "failed"]
    status, said = await target.migration()
    assert status == "failed"
    assert said is not None
    assert said.startswith(error)
    assert (await target.status(), await target.active(), target.given_up) == ("inmigrate", {False}, [])
    with pytest.raises(QMPError, match=r"^The incoming migration has already been started$"):
        await target.do("migrate-incoming", uri="exec:true")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"machine": "pc-q35-11.1"}, "Machine type received is 'pc-q35-11.1' and local is 'pc-i440fx-11.1'"),
        ({"memory": 1 << 20}, "Size mismatch: pc.ram: 0x100000 != 0x8000000: Invalid argument"),
        ({"memory": True}, "Error while loading vmstate: 'memory' is missing or malformed"),
        ({"devices": {"nvme": 1}}, "Unknown section or instance 'nvme' 0. Make sure"),
        ({"devices": {"nvme": "1"}}, "Error while loading vmstate: 'devices' is missing or malformed"),
        ({"run-state": "asleep"}, "Error while loading vmstate: 'run-state' is missing or malformed"),
        ({"run-state": "finish-migrate"}, "A machine cannot come in state 'finish-migrate'"),
        ({"trays": {"nix": True}}, "Device 'nix' not found"),
        ({"bitmaps": {}}, "Error while loading vmstate: 'bitmaps' is missing or malformed"),
        ({"bitmaps": [1]}, "Error while loading vmstate: 'bitmaps' is missing or malformed"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_by_name(
    change: dict[str, Any], error: str, tmp_path: Path
) -> None:
    @on_pair
    async def test(pair: Pair) -> None:
        (pair.folder / "state").write_bytes(crafted({**good(pair), **change}))
        await check_refused(pair, f"load of migration failed: Invalid argument: {error}")

    test(tmp_path)


@given(st.binary(max_size=200), st.integers(0, 3))
def test_random_bytes_are_refused_and_nothing_else_happens(junk: bytes, whole: int) -> None:
    stream = junk if whole == 0 else crafted(junk) if whole == 1 else crafted(junk)[:-1]
    with pytest.raises(QMPError):
        machine_state.parse(stream)


@on_pair
async def test_a_program_that_waits_for_a_machine_in_vain_gives_up(pair: Pair) -> None:
    (pair.folder / "state").write_bytes(b"")
    await pair.target.do("migrate-incoming", uri=f"file:{pair.folder / 'state'}")
    await pair.target.until("failed")
    (said,) = pair.target.given_up
    assert said.startswith("load of migration failed: ")


@on_pair
async def test_who_does_not_wait_for_a_machine_gets_none(pair: Pair) -> None:
    with pytest.raises(QMPError, match=r"^'-incoming' was not specified on the command line$"):
        await pair.source.do("migrate-incoming", uri=pair.uri)
    with pytest.raises(QMPError, match=r"^Guest is waiting for an incoming migration$"):
        await pair.target.do("migrate", uri=pair.uri)
