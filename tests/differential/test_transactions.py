"""Transactions happen whole or not at all, whatever fails in them and where, and say what QEMU 11.1 says."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import OURS, Daemon
from tests.differential.recorded import check_answers, compare_answers
from tests.images import judge, make_qcow2, qemu_img, qemu_io

RECORDING = Path(__file__).parent / "recorded_transactions.json"
Action = dict[str, Any]
MIB = 1 << 20


def action(kind: str, **data: Any) -> Action:
    return {"type": kind, "data": {key.replace("_", "-"): value for key, value in data.items()}}


def bitmap(verb: str, name: str, **data: Any) -> Action:
    return action(f"block-dirty-bitmap-{verb}", node="src", name=name, **data)


def merge(*bitmaps: str) -> Action:
    return action("block-dirty-bitmap-merge", node="src", target="merged", bitmaps=list(bitmaps))


def backup(job: str, device: str, target: str, **data: Any) -> Action:
    held = {"auto_finalize": False, "auto_dismiss": False}
    return action(
        "blockdev-backup",
        **{"job_id": job, "device": device, "target": target, "sync": "full", **held, **data},
    )


ABORT = action("abort")
ALL: list[tuple[Action, Action]] = [
    (bitmap("add", "new"), bitmap("add", "kept")),
    (bitmap("remove", "gone"), bitmap("remove", "nope")),
    (bitmap("clear", "cleared"), bitmap("clear", "nope")),
    (bitmap("enable", "off"), bitmap("enable", "nope")),
    (bitmap("disable", "kept"), bitmap("disable", "nope")),
    (merge("kept"), merge("kept", "nope")),
    (backup("j", "src", "null"), backup("j", "src", "null", speed=-1)),
    (
        action("drive-backup", job_id="k", device="under", target="copy.qcow2", sync="full"),
        action("drive-backup", job_id="k", device="under", target="nope/copy.qcow2", sync="full"),
    ),
    (
        action("blockdev-snapshot", node="under", overlay="over"),
        action("blockdev-snapshot", node="under", overlay="nope"),
    ),
    (
        action(
            "blockdev-snapshot-sync", node_name="plain", snapshot_file="snap.qcow2", snapshot_node_name="snap"
        ),
        action(
            "blockdev-snapshot-sync", node_name="plain", snapshot_file="snap.qcow2", snapshot_node_name="src"
        ),
    ),
    (
        action("blockdev-snapshot-internal-sync", device="inner", name="one"),
        action("blockdev-snapshot-internal-sync", device="inner", name="zero"),
    ),
]
"""Every action, and one of its kind that is refused."""

GOOD = [good for good, _ in ALL]


def two_backups(speed: int = 0, **first: Any) -> list[Action]:
    """Back up two nodes by their bitmaps; the second never gets far if it has a speed."""
    bitmaps = {"sync": "incremental", "bitmap": "marks"}
    return [
        backup("j", "inner", "null", **bitmaps, **first),
        backup("k", "under", "null2", **bitmaps, speed=speed),
    ]


TROUBLED = [backup("j", "inner", "troubled", sync="incremental", bitmap="marks"), two_backups(1)[1]]
GROUPED = {"completion-mode": "grouped"}
INDIVIDUAL = {"completion-mode": "individual"}
Story = tuple[list[Action], dict[str, Any], list[tuple[str, dict[str, Any]]]]
"""Actions, properties, and what is done once all jobs that can have come as far as they get."""

STORIES: dict[str, Story] = {
    **{
        f"aborted at {place}": ([*GOOD[:place], ABORT, *GOOD[place:]], {}, [])
        for place in range(len(ALL) + 1)
    },
    **{
        f"refused at {place}": ([*GOOD[:place], bad, *GOOD[place + 1 :]], {}, [])
        for place, (_, bad) in enumerate(ALL)
    },
    **{f"{good['type']} twice": ([good, good], {}, []) for good in GOOD},
    "everything": (GOOD, {}, [("job-finalize", {"id": "j"})]),
    **{
        f"{good['type']} grouped": ([good], GROUPED, [])
        for good in GOOD
        if good["type"] not in ("blockdev-backup", "drive-backup")
    },
    "individual, one fails": (TROUBLED, INDIVIDUAL, []),
    "grouped, one fails": (TROUBLED, GROUPED, []),
    "individual, one is called off": (two_backups(), INDIVIDUAL, [("job-cancel", {"id": "j"})]),
    "grouped, one is called off": (two_backups(), GROUPED, [("job-cancel", {"id": "j"})]),
    "grouped, the other is called off": (two_backups(), GROUPED, [("job-cancel", {"id": "k"})]),
    "grouped, one is called off before the other's end": (
        two_backups(1),
        GROUPED,
        [("job-cancel", {"id": "k"})],
    ),
    "grouped, one is finalized": (two_backups(), GROUPED, [("job-finalize", {"id": "j"})]),
    "individual, one is finalized": (two_backups(), INDIVIDUAL, [("job-finalize", {"id": "j"})]),
    "grouped, one finalizes itself": (
        two_backups(auto_finalize=True),
        GROUPED,
        [("job-finalize", {"id": "k"})],
    ),
    "grouped, the last is refused": ([*two_backups(), backup("l", "src", "null")], GROUPED, []),
}
OUR_OWN: dict[str, dict[str, Any]] = {
    "refused at 3": {"reply": "Dirty bitmap 'nope' not found", "jobs": {}},
    "grouped, the last is refused": {
        "reply": "Node 'null' is busy: block device is in use by block job: backup",
        "jobs": {"j": "created, aborting, concluded, null", "k": "created, aborting, concluded, null"},
    },
}
"""Stories that QEMU 11.1 does not outlive: it ends in the first, and answers nobody any more after the second."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make images with data, and with bitmaps that have marked some of it."""
    folder = tmp_path_factory.mktemp("images")
    for name in ("src", "under", "over", "plain", "inner", "troubled"):
        make_qcow2(folder / f"{name}.qcow2", "2M")
        qemu_io(folder / f"{name}.qcow2", "write -P 1 0 64k")
    for name in ("kept", "gone", "cleared", "off", "merged"):
        qemu_img("bitmap", "--add", folder / "src.qcow2", name)
    for name in ("inner", "under"):
        qemu_img("bitmap", "--add", folder / f"{name}.qcow2", "marks")
        qemu_io(folder / f"{name}.qcow2", "write -P 2 64k 1900k")
    qemu_io(folder / "src.qcow2", "write -P 2 128k 256k")
    qemu_img("bitmap", "--disable", folder / "src.qcow2", "off")
    qemu_img("bitmap", "--clear", folder / "src.qcow2", "merged")
    qemu_img("snapshot", "-c", "zero", folder / "inner.qcow2")
    return folder


def nodes() -> Iterator[dict[str, Any]]:
    for name in ("src", "under", "plain", "inner", "over"):
        options: dict[str, Any] = {"backing": None} if name == "over" else {}
        yield {
            "driver": "qcow2",
            "node-name": name,
            "file": {"driver": "file", "filename": f"{name}.qcow2"},
            **options,
        }
    for name in ("null", "null2"):
        yield {"driver": "null-co", "node-name": name, "size": 2 * MIB, "read-zeroes": True}
    trouble = [{"event": "write_aio", "errno": 5}]
    file = {
        "driver": "blkdebug",
        "image": {"driver": "file", "filename": "troubled.qcow2"},
        "inject-error": trouble,
    }
    yield {"driver": "qcow2", "node-name": "troubled", "file": file}


def state(daemon: Daemon) -> list[Any]:
    """Say which nodes and jobs there are, and what bitmaps and snapshots the nodes have."""
    found = []
    for node in daemon.execute("query-named-block-nodes", {"flat": True})["return"]:
        name = node["node-name"] if not node["node-name"].startswith("#") else "#"
        bitmaps = [
            " ".join([one.get("name", ""), str(one["count"]), *(key for key in SHOWN if one.get(key))])
            for one in node.get("dirty-bitmaps", [])
        ]
        snapshots = [one["name"] for one in node["image"].get("snapshots", [])]
        backing = node.get("backing_file", "")
        found.append(" ".join([name, node["drv"], *(["ro"] if node["ro"] else []), backing, *snapshots]))
        found += [f"  {one}" for one in sorted(bitmaps)]
    jobs = [f"job {job['id']} {job['status']}" for job in daemon.execute("query-jobs")["return"]]
    return [*found, *jobs]


SHOWN = ("recording", "busy", "persistent", "inconsistent")


def stories(daemon: Daemon) -> dict[str, str]:
    """Say what became of each job; how jobs overtake one another is left to chance."""
    told: dict[str, list[str]] = {}
    for event in daemon.take_events():
        data = event["data"]
        job = told.setdefault(data.get("id") or data.get("device"), [])
        job.append(data.get("status") or event["event"].removeprefix("BLOCK_JOB_"))
        if job[-2:] in (["paused", "running"], ["standby", "ready"]):
            del job[-2:]
    return {name: ", ".join(story) for name, story in sorted(told.items())}


def is_settled(job: dict[str, Any]) -> bool:
    is_slow = job["status"] == "running" and job["speed"] and job["offset"]
    return is_slow or job["status"] in ("waiting", "pending", "concluded")


def play_one(daemon: Daemon, images: Path, story: Story) -> dict[str, Any]:
    """Run a transaction; return the reply, what became of jobs, and the state if it is another."""
    actions, properties, then = story
    for left in daemon.folder.glob("*.qcow2"):
        left.unlink()
    shutil.copytree(images, daemon.folder, dirs_exist_ok=True)
    for options in nodes():
        assert daemon.execute("blockdev-add", options) == {"return": {}}
    before = state(daemon)
    wanted = {"actions": actions, **({"properties": properties} if properties else {})}
    reply = daemon.execute("transaction", wanted)
    told: dict[str, Any] = {"reply": reply["error"]["desc"] if "error" in reply else "accepted"}
    for command, arguments in then:
        settle(daemon)
        assert daemon.execute(command, arguments) == {"return": {}}
    settle(daemon)
    if "return" in reply:
        told["state"] = state(daemon)
    else:
        assert state(daemon) == before
    told["jobs"] = stories(daemon)
    take_down(daemon)
    return told


def settle(daemon: Daemon) -> None:
    while not all(map(is_settled, daemon.execute("query-block-jobs")["return"])):
        pass


def take_down(daemon: Daemon) -> None:
    while jobs := daemon.execute("query-jobs")["return"]:
        for job in jobs:
            daemon.execute("job-cancel", {"id": job["id"]})
            daemon.execute("job-dismiss", {"id": job["id"]})
    while left := daemon.execute("query-named-block-nodes", {"flat": True})["return"]:
        assert any(
            "return" in daemon.execute("blockdev-del", {"node-name": node["node-name"]}) for node in left
        )
    daemon.take_events()


def play(command: list[str], images: Path, folder: Path) -> dict[str, Any]:
    """Play all stories on one daemon."""
    folder.mkdir()
    told: dict[str, Any] = {}
    with Daemon(command, folder) as daemon:
        for name, story in STORIES.items():
            if command is not OURS and name in OUR_OWN:
                continue
            told[name] = play_one(daemon, images, story)
            if command is OURS:
                check_images(name, images, folder)
    return told


def check_images(name: str, images: Path, folder: Path) -> None:
    """See that every image that has changed is whole; bitmaps are clusters that the judge does not know."""
    for image in sorted(folder.glob("*.qcow2")):
        data, before = image.read_bytes(), images / image.name
        if not (before.exists() and before.read_bytes() == data):
            assert not judge(data).corruptions, (name, image)


def test_a_transaction_goes_as_on_qemu(images: Path, tmp_path: Path) -> None:
    told = play(OURS, images, tmp_path / "ours")
    assert {name: told.pop(name) for name in OUR_OWN} == OUR_OWN
    compare_answers(RECORDING, told)


def test_the_recording_is_true(images: Path, tmp_path: Path) -> None:
    check_answers(RECORDING, lambda peer: play([peer], images, tmp_path / "theirs"))
