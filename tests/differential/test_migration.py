"""A machine passes from one process to another as with QEMU 11.1, and 7.2 where that agrees."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import Step, step
from tests.differential.machine_session import NEWEST, assert_alike
from tests.differential.migration_session import EMULATOR, PairSession, play_ours, play_theirs
from tests.images import make_qcow2
from tests.peers import peer_version

RECORDING = Path(__file__).parent / "recorded_migration.json"


def source(execute: str, until: str | None = None, /, **arguments: Any) -> tuple[str, Step]:
    return "source", step(execute, until, **arguments)


def target(execute: str, until: str | None = None, /, **arguments: Any) -> tuple[str, Step]:
    return "target", step(execute, until, **arguments)


def switch(*names: str) -> dict[str, Any]:
    return {"capabilities": [{"capability": name, "state": True} for name in names]}


def both(execute: str, **arguments: Any) -> tuple[tuple[str, Step], tuple[str, Step]]:
    return source(execute, **arguments), target(execute, **arguments)


LOOK = (
    *both("query-migrate"),
    *both("query-named-block-nodes", flat=True),
)
EVENTS = both("migrate-set-capabilities", **switch("events"))
GONE = source("query-status", "postmigrate")
RUN = source("cont", "RESUME")
PAUSES = source("migrate-set-capabilities", **switch("pause-before-switchover"))

SESSIONS = {
    "through a socket": PairSession(
        alike_in_7_2=False,
        steps=[
            *EVENTS,
            RUN,
            *LOOK,
            target("migrate-incoming", uri="unix:m"),
            target("query-migrate"),
            source("migrate", "completed", uri="unix:m"),
            GONE,
            target("query-name", "completed"),
            target("query-status"),
            *LOOK,
            target("cont", "RESUME"),
            target("query-status"),
            *LOOK,
            source("cont"),
            source("migrate", uri="unix:m"),
            target("migrate-incoming", uri="unix:m"),
        ],
    ),
    "a machine that does not run": PairSession(
        alike_in_7_2=False,
        steps=[
            *EVENTS,
            source("migrate", "completed", uri="file:state"),
            GONE,
            *LOOK,
            target("migrate-incoming", "completed", uri="file:state"),
            target("query-status"),
            *LOOK,
        ],
    ),
    "taken back": PairSession(
        alike_in_7_2=False,
        steps=[
            *EVENTS,
            RUN,
            source("migrate", "completed", uri="file:state"),
            GONE,
            source("cont", "RESUME"),
            source("query-status"),
            *LOOK,
            source("query-migrate"),
            source("stop", "STOP"),
        ],
    ),
    "waiting before the images change hands": PairSession(
        alike_in_7_2=False,
        steps=[
            *EVENTS,
            PAUSES,
            RUN,
            source("migrate-continue", state="pre-switchover"),
            source("migrate", "pre-switchover", uri="file:state"),
            source("query-status"),
            source("query-named-block-nodes", flat=True),
            source("cont"),
            source("stop"),
            source("migrate-continue", state="device"),
            source("migrate", uri="file:other"),
            source("migrate-set-capabilities", **switch("multifd")),
            source("device_add", driver="virtio-blk-pci", id="z"),
            source("device_del", id="device"),
            source("system_reset", "RESET"),
            source("query-status"),
            source("migrate-continue", "completed", state="pre-switchover"),
            GONE,
            *LOOK,
        ],
    ),
    "called off": PairSession(
        alike_in_7_2=False,
        steps=[
            *EVENTS,
            PAUSES,
            source("migrate_cancel"),
            RUN,
            source("migrate", "pre-switchover", uri="file:state"),
            source("migrate_cancel", "cancelled"),
            source("query-status"),
            *LOOK,
            source("migrate_cancel"),
            source("migrate", "pre-switchover", uri="file:state"),
            source("migrate-continue", "completed", state="pre-switchover"),
        ],
    ),
    "nobody there": PairSession(
        alike_in_7_2=False,
        steps=[
            *EVENTS,
            source("migrate", uri="foo:bar"),
            source("query-migrate"),
            source("migrate", "failed", uri="unix:/no/such"),
            source("query-migrate"),
            source("migrate", "failed", uri="tcp:127.0.0.1:1"),
            source("query-migrate"),
            source("migrate", "failed", uri="fd:nix"),
            source("migrate", "failed", uri="file:/no/such"),
            source("query-migrate"),
            source("migrate", uri="tcp:x"),
            source("migrate", uri="file:a,offset=q"),
            source("migrate"),
            source("query-status"),
            source("migrate-incoming", uri="unix:m"),
            target("migrate", uri="unix:m"),
            target("migrate-incoming", uri="foo:bar"),
            target("migrate_cancel"),
            target("query-migrate"),
            target("cont"),
            target("query-status"),
            target("stop"),
        ],
    ),
}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an image that every session begins with."""
    return make_qcow2(tmp_path_factory.mktemp("images") / "disk", "1M")


def _folder(image: Path, folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(image, folder / "disk")
    return folder


@pytest.mark.parametrize("name", SESSIONS)
def test_a_pair_of_machines_says_what_qemu_says(name: str, image: Path, tmp_path: Path) -> None:
    stories = json.loads(RECORDING.read_text()) if RECORDING.exists() else {}
    if os.environ.get("QMPSERVER_RECORD") == "1":
        assert peer_version(EMULATOR)[0] == NEWEST
        stories[name] = play_theirs(SESSIONS[name], _folder(image, tmp_path / "theirs"))
        RECORDING.write_text(json.dumps(stories, indent=1, sort_keys=True) + "\n")
    assert_alike(asyncio.run(play_ours(SESSIONS[name], _folder(image, tmp_path / "ours"))), stories[name])


@pytest.mark.parametrize("name", SESSIONS)
def test_the_recording_is_qemus(name: str, image: Path, tmp_path: Path) -> None:
    major, _minor = peer_version(EMULATOR)
    if major != NEWEST and not SESSIONS[name].alike_in_7_2:
        pytest.skip(f"QEMU {major} says something else than QEMU {NEWEST}")
    recorded = json.loads(RECORDING.read_text())[name]
    assert_alike(play_theirs(SESSIONS[name], _folder(image, tmp_path / "theirs")), recorded)
