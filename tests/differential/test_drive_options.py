"""What ``-drive`` and ``drive_add`` say is understood, or refused, as QEMU 11.1 does."""

import asyncio
import json
import os
import shutil
from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from qmpserver.clock import SystemClock
from qmpserver.errors import QMPError
from qmpserver.machine.machine import Machine
from tests.differential.duel import step
from tests.differential.machine_session import (
    EMULATOR,
    NEWEST,
    SCHEMA,
    Session,
    common,
    play_theirs,
    shaped,
    words,
)
from tests.images import make_qcow2, qemu_img
from tests.peers import peer_version

RECORDING = Path(__file__).parent / "recorded_drive_options.json"
RAW = "file=a.raw,format=raw"
NULL = "driver=null-co"

ROWS = [
    "",
    RAW,
    "file=",
    "file=a.raw",
    "file=none.raw,format=raw",
    "file=a.raw,format=qcow2",
    "file=a.raw,format=bogus",
    f"{RAW},driver=raw",
    "format=raw",
    "file.filename=a.raw,format=raw",
    "file.driver=file,file.filename=a.raw",
    "driver=file,filename=a.raw",
    "driver=file,file=a.raw",
    "format=file,file=a.raw",
    f"{RAW},file.locking=off",
    f"{RAW},file.bogus=1",
    f"{RAW},bogus=1",
    "file=bogus:x",
    "file=json:{}",
    'file=json:{"driver":"null-co"}',
    "file=nbd:127.0.0.1:1",
    "file=top.qcow2",
    "driver=qcow2,file=base.qcow2,backing.driver=null-co",
    f"{NULL},bogus=1",
    f"{NULL},read-only=on",
    f"{NULL},readonly=maybe",
    f"{NULL},cache.bogus=x",
    f"{NULL},cache.direct=x",
    f"{NULL},cache=bogus",
    f"{NULL},aio=bogus",
    f"{NULL},discard=bogus",
    f"{NULL},detect-zeroes=bogus",
    f"{NULL},copy-on-read=x",
    f"{NULL},snapshot=x",
    f"{NULL},rerror=bogus",
    f"{NULL},rerror=enospc",
    f"{NULL},rerror=stop,werror=stop",
    f"{NULL},werror=auto",
    f"{NULL},media=bogus",
    f"{NULL},media=cdrom,readonly=off",
    f"{NULL},index=x",
    f"{NULL},index=1,bus=1",
    f"{NULL},index=17",
    f"{NULL},unit=18",
    f"{NULL},serial=abc",
    f"{NULL},cyls=1",
    f"{NULL},addr=3",
    f"{NULL},id=1x",
    f"{NULL},id=n",
    f"{NULL},id=taken",
    f"{NULL},node-name=taken",
    f"{NULL},node-name=own",
    f"{NULL},node-name=same,id=same",
    f"{NULL},bps=1,iops_rd=2,bps_rd=3",
    f"{NULL},throttling.bps-total=5,bps=6",
    f"{NULL},bps=6,bps_max=3",
    f"{NULL},bps=x",
    f"{NULL},bps=1k",
    f"{NULL},throttling.bps-total=5,throttling.bps-total-max=10,throttling.bps-total-max-length=3",
    f"{NULL},throttling.iops-size=4",
    f"{NULL},iops=4,iops_size=512,group=g",
    "bps=1",
    f"{NULL},stats-account-failed=off",
    f"{NULL},stats-account-failed=x",
    f"{NULL},stats-intervals.0=0",
    f"{NULL},stats-intervals.0=x",
    f"{NULL},stats-intervals.0=5",
    *(f"{RAW},cache={mode}" for mode in ("none", "off", "directsync", "unsafe", "writethrough", "writeback")),
    f"{RAW},cache=writethrough,cache.writeback=on",
    f"{RAW},cache=none,cache.direct=off",
    f"{RAW},detect-zeroes=unmap",
    f"{RAW},detect-zeroes=on,discard=on",
    f"{RAW},snapshot=on",
    f"{RAW},snapshot=on,readonly=on",
    f"{RAW},aio=native",
    f"{RAW},aio=native,cache=none",
    f"{RAW},aio=threads",
    f"{RAW},force-share=on",
    f"{RAW},force-share=on,readonly=on",
    f"{RAW},auto-read-only=on",
]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    qemu_img("create", "-q", "-f", "raw", folder / "a.raw", "1M")
    make_qcow2(folder / "base.qcow2", "1M")
    make_qcow2(folder / "top.qcow2", "1M", backing_file="base.qcow2", backing_fmt="qcow2")
    return folder


def command_line(row: str) -> str:
    own_id = [] if "id=" in row else ["id=d"]
    return ",".join(["if=none", *own_id, *([row] if row else [])])


async def ours(folder: Path) -> dict[str, Any]:
    """Make each drive on a machine of ours, and take it away again."""
    machine = Machine(SCHEMA, SystemClock())
    async with machine.graph.lock:
        await machine.drives.add_legacy({"if": "none", "id": "taken"})
        await machine.opener.open({"driver": "null-co", "node-name": "n"})
    told: dict[str, Any] = {}
    with chdir(folder):
        for row in ROWS:
            given = words(command_line(row))
            try:
                async with machine.graph.lock:
                    drive = await machine.drives.add_legacy(given)
            except QMPError as error:
                told[row] = error.description
                continue
            told[row] = (await machine.block_info(flat=False))[1:]
            async with machine.graph.lock:
                await machine.drives.delete(drive)
    await machine.close()
    return told


def theirs(folder: Path) -> dict[str, Any]:
    """Have QEMU's monitor add each drive, and delete it again."""
    steps = []
    for row in ROWS:
        steps += [
            monitor(f"drive_add 0 {command_line(row)}"),
            step("query-block"),
            monitor("drive_del d"),
        ]
    session = Session(
        blockdevs=[{"driver": "null-co", "node-name": "n"}], drives=["if=none,id=taken"], steps=steps
    )
    story = play_theirs(session, folder)
    told: dict[str, Any] = {}
    for number, row in enumerate(ROWS):
        said, shown = (part[1]["return"] for part in story[3 * number : 3 * number + 2])
        told[row] = shown[1:] if said.startswith("OK") else said.removeprefix("Error: ").splitlines()[0]
    return told


def monitor(line: str) -> Any:
    return step("human-monitor-command", command_line=line)


def plain(told: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(told, (shaped([answer])[0] for answer in told.values()), strict=True))


def differing(told: dict[str, Any], recorded: dict[str, Any], rows: Iterable[str] = ROWS) -> list[Any]:
    return [(row, told[row], recorded[row]) for row in rows if told[row] != recorded[row]]


def test_options_mean_what_they_do_on_qemu(images: Path, tmp_path: Path) -> None:
    if os.environ.get("QMPSERVER_RECORD") == "1":
        assert peer_version(EMULATOR)[0] == NEWEST
        recorded = plain(theirs(Path(shutil.copytree(images, tmp_path / "theirs"))))
        RECORDING.write_text(json.dumps(recorded, indent=1) + "\n")
    assert not differing(plain(asyncio.run(ours(images))), json.loads(RECORDING.read_text()))


def test_what_is_recorded_is_what_qemu_says(images: Path) -> None:
    told, recorded = plain(theirs(images)), json.loads(RECORDING.read_text())
    if peer_version(EMULATOR)[0] != NEWEST:
        # It shows less, and otherwise the same.
        told, recorded = common(told, recorded), common(recorded, told)
    assert not differing(told, recorded)
