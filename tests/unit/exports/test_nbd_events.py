"""What clients of the monitor are told while clients of an export write, and when the server ends."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from qmpserver.events import Event
from qmpserver.nbd.constants import Command
from tests.unit.exports.serving import SIZE, Stage, play, write


def heard(stage: Stage) -> list[tuple[str, Any]]:
    told: list[tuple[str, Any]] = []

    def hear(event: Event) -> None:
        told.append((event.name, event.to_wire().get("data")))

    stage.server.daemon.events.subscribe(hear)
    return told


@pytest.mark.parametrize("command", [Command.WRITE, Command.WRITE_ZEROES])
def test_the_first_write_past_a_threshold_is_told_once(tmp_path: Path, command: Command) -> None:
    async def body(stage: Stage) -> None:
        told = heard(stage)
        await stage.execute("block-set-write-threshold", node_name="n", write_threshold=65536)
        async with stage.client() as one, stage.client() as two:
            await write(one, 0, b"x" * 65536)
            assert not told
            requests = [
                write(client, 65536 * at, b"x" * 65536)
                if command is Command.WRITE
                else client.request(command, 65536 * at, 65536)
                for client, at in ((one, 1), (two, 2), (one, 3))
            ]
            await asyncio.gather(*requests)
        assert [name for name, _ in told] == ["BLOCK_WRITE_THRESHOLD"]
        assert told[0][1]["node-name"] == "n"
        assert told[0][1]["write-threshold"] == 65536
        (shown,) = [
            n for n in await stage.execute("query-named-block-nodes", flat=True) if n["node-name"] == "n"
        ]
        assert shown["write_threshold"] == 0

    play(tmp_path, body)


def test_exports_and_jobs_are_gone_before_quit_is_answered(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        for name in "st":
            node = {"driver": "null-co", "node-name": name, "size": SIZE}
            await stage.server.execute("blockdev-add", node)
        await stage.execute("blockdev-mirror", job_id="j", device="s", target="t", sync="full", speed=1)
        async with stage.client():
            told = heard(stage)
            await stage.execute("quit")
            names = [name for name, _ in told]
            assert names[0] == "BLOCK_EXPORT_DELETED"
            assert "BLOCK_JOB_CANCELLED" in names
            assert told[-1] == ("JOB_STATUS_CHANGE", {"id": "j", "status": "null"})

    play(tmp_path, body)
