"""Every verb in every state of every kind of job is answered as on QEMU 11.1, and leads where it leads there."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import OURS, Daemon, Step, step
from tests.differential.recorded import check_answers, compare_answers
from tests.images import make_qcow2, qemu_io

RECORDING = Path(__file__).parent / "recorded_verbs.json"
HELD = {"auto_finalize": False, "auto_dismiss": False}
Answer = str
"""What a command was answered, and the states and events it led to."""


def file(name: str) -> dict[str, Any]:
    return {"driver": "file", "filename": f"{name}.qcow2"}


def add(name: str, **options: Any) -> Step:
    return step("blockdev-add", driver="qcow2", node_name=name, file=file(name), **options)


NODES = [add("base"), add("mid", backing="base"), add("top", backing="mid"), add("target"), add("spare")]

JOBS: dict[str, dict[str, Any]] = {
    "stream": {"execute": "block-stream", "device": "top"},
    "commit": {"execute": "block-commit", "device": "top", "top_node": "mid"},
    "active commit": {"execute": "block-commit", "device": "top", "base_node": "mid"},
    "mirror": {"execute": "blockdev-mirror", "device": "top", "target": "target", "sync": "full"},
    "backup": {"execute": "blockdev-backup", "device": "top", "target": "target", "sync": "full"},
}
READY_FIRST = ("active commit", "mirror")

LEADS_TO = {
    "pause": {"running": "paused", "ready": "standby"},
    "resume": {"paused": "running", "standby": "ready"},
    "complete": {"ready": "pending", "standby": "standby"},
    "finalize": {"pending": "concluded"},
    "dismiss": {"concluded": ""},
}
"""What a verb leads to, by the state it is tried in, where it is accepted; nothing where it changes no state."""

Way = list[tuple[Step, str]]
"""Commands, and the state of the job to wait for after each."""


def start(kind: str, **options: Any) -> Step:
    arguments = {"job_id": "j", **JOBS[kind], **HELD, **options}
    return step(arguments.pop("execute"), **arguments)


def verb(name: str) -> Step:
    return step(f"job-{name}", id="j")


def create() -> Step:
    return step("blockdev-create", job_id="j", options={"driver": "file", "filename": "made", "size": 4096})


def grouped() -> Step:
    """Start two backups with one fate, of which only one comes to the end of its work."""
    held = {"sync": "full", "auto-finalize": False, "auto-dismiss": False}
    own: list[dict[str, Any]] = [
        {"job-id": "j", "device": "base", "target": "target"},
        {"job-id": "k", "device": "top", "target": "spare", "speed": 1},
    ]
    actions = [{"type": "blockdev-backup", "data": held | data} for data in own]
    return step("transaction", actions=actions, properties={"completion-mode": "grouped"})


def ways(kind: str) -> dict[str, Way]:
    """Say how a job of a kind comes into each state."""
    slow = (start(kind, speed=1), "running")
    found: dict[str, Way] = {"running": [slow], "paused": [slow, (verb("pause"), "paused")]}
    if kind not in READY_FIRST:
        return found | {
            "pending": [(start(kind), "pending")],
            "concluded": [(start(kind, auto_finalize=True), "concluded")],
        }
    ready = (start(kind), "ready")
    complete = (verb("complete"), "pending")
    return found | {
        "ready": [ready],
        "standby": [ready, (verb("pause"), "standby")],
        "pending": [ready, complete],
        "concluded": [ready, complete, (verb("finalize"), "concluded")],
    }


STATES: dict[str, Way] = {
    **{f"{kind}, {state}": way for kind in JOBS for state, way in ways(kind).items()},
    "backup, waiting": [(grouped(), "waiting")],
    "create, concluded": [(create(), "concluded")],
    "no job, null": [],
}


def verbs() -> list[tuple[str, Step]]:
    """Return every verb in both spellings."""
    by_id, names = ("finalize", "dismiss"), ("finalize", "dismiss", "complete", "pause", "resume", "cancel")
    new = [(name, verb(name)) for name in names]
    old = [(name, step(f"block-job-{name}", **{"id" if name in by_id else "device": "j"})) for name in names]
    others = [
        ("set-speed", step("block-job-set-speed", device="j", speed=2)),
        ("change", step("block-job-change", id="j", type="mirror", copy_mode="write-blocking")),
    ]
    return [*others, *new, *old, ("force", step("block-job-cancel", device="j", force=True))]


class Trial:
    """A daemon that jobs are brought into states on, and asked things there."""

    def __init__(self, daemon: Daemon, images: Path) -> None:
        self._daemon = daemon
        self._images = images
        self._is_set = False

    def answers(self, name: str) -> dict[str, Answer]:
        """Try every verb in one state."""
        state = name.partition(", ")[2]
        told: dict[str, Answer] = {}
        for verb_name, asked in verbs():
            self._set_up(STATES[name])
            reply = self._daemon.execute(asked.execute, asked.arguments)
            key = asked.execute + (" by force" if verb_name == "force" else "")
            if "error" in reply:
                told[key] = " ".join((reply["error"]["class"] + ":", reply["error"]["desc"], *self._events()))
                continue
            if verb_name in ("cancel", "force"):
                ends_well = asked.execute == "block-job-cancel" and verb_name == "cancel" and state == "ready"
                then: str | None = "pending" if ends_well else "concluded"
            else:
                then = LEADS_TO.get(verb_name, {}).get(state)
            if then is not None:
                self._wait(then)
            told[key] = ", ".join(("accepted", *self._events()))
            if then is not None:
                self._take_down()
        self._take_down()
        return told

    def _wait(self, status: str) -> None:
        """Ask until the job is in a state, and has moved something if it is to run."""
        while True:
            jobs = {job["id"]: job for job in self._daemon.execute("query-jobs")["return"]}
            job = jobs.get("j", {"status": "", "current-progress": 0})
            if job["status"] == status and (status != "running" or job["current-progress"]):
                return

    def _set_up(self, way: Way) -> None:
        if self._is_set:
            return
        shutil.copytree(self._images, self._daemon.folder, dirs_exist_ok=True)
        for item in NODES:
            assert self._daemon.execute(item.execute, item.arguments) == {"return": {}}
        for item, status in way:
            assert self._daemon.execute(item.execute, item.arguments) == {"return": {}}
            self._wait(status)
        self._daemon.take_events()
        self._is_set = True

    def _take_down(self) -> None:
        daemon = self._daemon
        while jobs := daemon.execute("query-jobs")["return"]:
            for job in jobs:
                if job["status"] == "concluded":
                    daemon.execute("job-dismiss", {"id": job["id"]})
                else:
                    daemon.execute("block-job-cancel", {"device": job["id"], "force": True})
        while nodes := daemon.execute("query-named-block-nodes", {"flat": True})["return"]:
            assert any(
                "return" in daemon.execute("blockdev-del", {"node-name": node["node-name"]}) for node in nodes
            )
        daemon.take_events()
        self._is_set = False

    def _events(self) -> list[str]:
        """Return what was told, without where a job pauses for a moment because QEMU drains its nodes."""
        kept: list[str] = []
        for event in self._daemon.take_events():
            data = event["data"]
            who = data.get("id") or data["device"]
            told = f"{who} {data.get('status') or event['event'].removeprefix('BLOCK_JOB_')}"
            error = f": {data['error']}" if "error" in data else ""
            if kept and (kept[-1], told) in {
                (f"{who} paused", f"{who} running"),
                (f"{who} standby", f"{who} ready"),
            }:
                kept.pop()
            else:
                kept.append(told + error)
        return kept


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a chain with data enough that no job copies it in one step, and a target."""
    folder = tmp_path_factory.mktemp("images")
    below: dict[str, str] = {}
    for layer, name in enumerate(("base", "mid", "top")):
        make_qcow2(folder / f"{name}.qcow2", "4M", **below)
        qemu_io(folder / f"{name}.qcow2", f"write -P {layer + 1} {layer}M 1536k")
        below = {"backing_file": f"{name}.qcow2", "backing_fmt": "qcow2"}
    for name in ("target", "spare"):
        make_qcow2(folder / f"{name}.qcow2", "4M")
    return folder


def play(command: list[str], images: Path, folder: Path) -> dict[str, dict[str, Answer]]:
    """Try every state on one daemon."""
    folder.mkdir()
    with Daemon(command, folder) as daemon:
        trial = Trial(daemon, images)
        return {name: trial.answers(name) for name in STATES}


def test_every_verb_in_every_state_is_answered_as_by_qemu(images: Path, tmp_path: Path) -> None:
    compare_answers(RECORDING, play(OURS, images, tmp_path / "ours"))


def test_the_recording_is_true(images: Path, tmp_path: Path) -> None:
    check_answers(RECORDING, lambda peer: play([peer], images, tmp_path / "theirs"))
