"""Whole sessions around mirrors and commits: what is said, in which order, and what is left, is as on QEMU 11.1."""

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import OURS, Daemon, Step, step
from tests.differential.recorded import PROGRESS, check_recording, compare
from tests.images import judge, make_qcow2, qemu_img, qemu_io

RECORDING = Path(__file__).parent / "recorded_mirror.json"
SEEN = {"top.qcow2": "top.raw", "other.qcow2": "other.raw"}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make chains, targets, and a layer that cannot be read."""
    folder = tmp_path_factory.mktemp("images")
    make_qcow2(folder / "base.qcow2", "8M")
    qemu_io(folder / "base.qcow2", "write -P 1 0 2M", "write -P 9 6M 64k")
    chain(folder, "mid.qcow2", "base.qcow2")
    qemu_io(folder / "mid.qcow2", "write -P 2 1M 2M", "write -z 6M 64k")
    chain(folder, "top.qcow2", "mid.qcow2")
    qemu_io(folder / "top.qcow2", "write -P 3 3M 1M", "write -P 4 100k 4k")
    make_qcow2(folder / "small.qcow2", "1M")
    qemu_io(folder / "small.qcow2", "write -P 5 0 1M")
    chain(folder, "other.qcow2", "small.qcow2", "8M")
    qemu_io(folder / "other.qcow2", "write -P 6 512k 2M")
    make_qcow2(folder / "target.qcow2", "8M")
    make_qcow2(folder / "full.qcow2", "8M")
    qemu_io(folder / "full.qcow2", "write -P 7 0 8M")
    qemu_img("create", "-q", "-f", "raw", folder / "target.raw", "8M")
    make_qcow2(folder / "bad.qcow2", "8M")
    qemu_io(folder / "bad.qcow2", "write -P 1 0 8M")
    spoil_cluster(folder / "bad.qcow2", 2 << 20)
    chain(folder, "over-bad.qcow2", "bad.qcow2")
    make_qcow2(folder / "under-bad.qcow2", "8M")
    chain(folder, "bad-mid.qcow2", "under-bad.qcow2")
    qemu_io(folder / "bad-mid.qcow2", "write -P 1 0 8M")
    spoil_cluster(folder / "bad-mid.qcow2", 2 << 20)
    chain(folder, "over-bad-mid.qcow2", "bad-mid.qcow2")
    shutil.copy(folder / "base.qcow2", folder / "stored.qcow2")
    for image, raw in SEEN.items():
        qemu_img("convert", "-O", "raw", folder / image, folder / raw)
    return folder


def chain(folder: Path, overlay: str, backing: str, *size: str) -> None:
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backing, folder / overlay, *size)


def spoil_cluster(image: Path, offset: int) -> None:
    """Make the table entry of the cluster at `offset` point to where no cluster can begin."""
    data = bytearray(image.read_bytes())
    (l1_table,) = struct.unpack_from(">Q", data, 40)
    (l2_table,) = struct.unpack_from(">Q", data, l1_table)
    struct.pack_into(
        ">Q", data, (l2_table & 0x00FF_FFFF_FFFF_FE00) + 8 * (offset >> 16), (1 << 63) | 0x12345600
    )
    image.write_bytes(data)


def file(name: str) -> dict[str, Any]:
    return {"driver": "file", "filename": name}


def add(node: str, filename: str | None = None, **options: Any) -> Step:
    return step(
        "blockdev-add", driver="qcow2", node_name=node, file=file(filename or f"{node}.qcow2"), **options
    )


CHAIN = [add("base", read_only=True), add("mid", read_only=True, backing="base"), add("top", backing="mid")]
NODES = [step("query-named-block-nodes", flat=True)]
JOBS = [step("query-block-jobs"), step("query-jobs")]
GRAPH = [step("x-debug-query-block-graph")]
HELD = {"auto_finalize": False, "auto_dismiss": False}


def mirror(until: str | None = "BLOCK_JOB_READY", /, **options: Any) -> Step:
    return step(
        "blockdev-mirror",
        until,
        **{"job_id": "j", "device": "top", "target": "target", "sync": "full", **options},
    )


def drive(until: str | None = "BLOCK_JOB_READY", /, **options: Any) -> Step:
    known = {"job_id": "j", "device": "top", "target": "new.qcow2", "sync": "full", "format": "qcow2"}
    return step("drive-mirror", until, **{**known, **options})


def commit(until: str | None, /, **options: Any) -> Step:
    return step("block-commit", until, **{"job_id": "j", "device": "top", **options})


def job(verb: str, until: str | None = None) -> Step:
    return step(f"job-{verb}", until, id="j")


def cancel(until: str | None = "STATUS=null", *, force: bool = False) -> Step:
    return step("block-job-cancel", until, device="j", force=force)


def change(**options: Any) -> Step:
    return step("block-job-change", **{"id": "j", "type": "mirror", "copy_mode": "write-blocking", **options})


def every_verb() -> list[Step]:
    """Try everything that the state should refuse, and nothing that it may grant."""
    return [job("finalize"), job("dismiss"), step("block-job-set-speed", device="j", speed=-1)]


SESSIONS: dict[str, list[Step]] = {
    "a mirror completes": [
        *CHAIN,
        add("target"),
        mirror(),
        *NODES,
        *JOBS,
        job("complete", "STATUS=null"),
        *NODES,
        *GRAPH,
        *JOBS,
    ],
    "a mirror ends as a copy": [*CHAIN, add("target"), mirror(), cancel(), *NODES, mirror(), cancel(), *JOBS],
    "a mirror is called off when ready": [
        *CHAIN,
        add("target"),
        mirror(filter_node_name="flt", copy_mode="write-blocking"),
        *NODES,
        *JOBS,
        cancel(force=True),
        *NODES,
        mirror(**HELD),
        job("cancel", "STATUS=concluded"),
        *NODES,
        *JOBS,
        step("blockdev-del", node_name="target"),
        job("dismiss"),
    ],
    "what is copied at first": [
        *CHAIN,
        add("target"),
        mirror(sync="none"),
        *JOBS,
        cancel(),
        mirror(sync="top"),
        *JOBS,
        cancel(),
        mirror(granularity=4096),
        cancel(),
        mirror(target_is_zero=True),
        cancel(),
        add("full", discard="unmap"),
        mirror(target="full"),
        cancel(),
        step("blockdev-add", driver="raw", node_name="raw", file=file("target.raw")),
        mirror(target="raw"),
        cancel(),
    ],
    "a mirror from state to state": [
        *CHAIN,
        add("target"),
        mirror("STATUS=running", speed=1, **HELD),
        *every_verb(),
        job("complete"),
        change(copy_mode="background"),
        change(),
        change(copy_mode="background"),
        change(type="commit"),
        change(id="k"),
        step("block-job-pause", "STATUS=paused", device="j"),
        *JOBS,
        *every_verb(),
        job("complete"),
        change(),
        cancel(None),
        step("blockdev-del", node_name="target"),
        step("blockdev-del", node_name="top"),
        mirror(None, job_id="k"),
        mirror(None, job_id="k", device="target", target="top"),
        commit(None, job_id="k"),
        step("block-stream", job_id="k", device="top"),
        step("block-job-set-speed", device="j", speed=0),
        step("block-job-resume", "BLOCK_JOB_READY", device="j"),
        *JOBS,
        *every_verb(),
        change(),
        step("block-job-pause", "STATUS=standby", device="j"),
        *JOBS,
        *every_verb(),
        cancel(None),
        job("complete"),
        job("resume", "BLOCK_JOB_PENDING"),
        *JOBS,
        *NODES,
        job("pause"),
        job("complete"),
        change(),
        job("finalize", "STATUS=concluded"),
        *JOBS,
        *NODES,
        job("cancel"),
        job("pause"),
        job("finalize"),
        job("complete"),
        change(),
        job("dismiss", "STATUS=null"),
    ],
    "a mirror is called off while it waits to be finalized": [
        *CHAIN,
        add("target"),
        mirror(**HELD),
        cancel("BLOCK_JOB_PENDING"),
        *JOBS,
        cancel("STATUS=concluded"),
        *JOBS,
        job("dismiss"),
        *NODES,
    ],
    "a mirror is called off early": [
        *CHAIN,
        add("target"),
        mirror("STATUS=running", speed=1, **HELD),
        cancel("STATUS=concluded"),
        job("dismiss"),
        mirror("STATUS=running", speed=1, **HELD),
        job("pause", "STATUS=paused"),
        cancel(None),
        cancel("STATUS=concluded", force=True),
        job("dismiss"),
        *NODES,
    ],
    "a node below a filter is replaced": [
        add("top", read_only=False),
        add("target"),
        step("blockdev-add", driver="copy-on-read", node_name="cor", file="top"),
        mirror(device="cor", replaces="top"),
        *NODES,
        job("complete", "STATUS=null"),
        *NODES,
        step("blockdev-del", node_name="target"),
        step("blockdev-del", node_name="top"),
        step("blockdev-del", node_name="cor"),
    ],
    "one of several that vote is replaced": [
        add("top", read_only=False),
        add("target"),
        step("blockdev-add", driver="quorum", node_name="quorum", children=["top"], vote_threshold=1),
        mirror(device="quorum", replaces="top"),
        *NODES,
        job("complete", "STATUS=null"),
        *NODES,
        step("blockdev-del", node_name="target"),
        step("blockdev-del", node_name="top"),
        step("blockdev-del", node_name="quorum"),
    ],
    "mirrors that are refused": [
        *CHAIN,
        add("target"),
        add("small"),
        *(
            mirror(None, **wrong)
            for wrong in (
                {"device": "nope"},
                {"device": ""},
                {"device": "mid"},
                {"target": "nope"},
                {"target": "top"},
                {"target": "mid"},
                {"sync": "incremental"},
                {"sync": "bitmap"},
                {"sync": "nope"},
                {"granularity": 1},
                {"granularity": 513},
                {"granularity": 1 << 27},
                {"granularity": 1 << 40},
                {"granularity": -1},
                {"buf_size": -1},
                {"speed": -1},
                {"job_id": ""},
                {"job_id": "1x"},
                {"replaces": "nope"},
                {"replaces": ""},
                {"replaces": "mid"},
                {"replaces": "target"},
                {"filter_node_name": "top"},
                {"filter_node_name": "1x"},
                {"copy_mode": "nope"},
                {"on_source_error": "nope"},
                {"nonsense": 1},
            )
        ),
        mirror("STATUS=null", target="small"),
        change(id="j"),
        step("block-job-change", id="j", type="mirror"),
        step("block-job-change", id="j", type="nope"),
        *NODES,
    ],
    "a source that cannot be read": [
        add("top", "over-bad.qcow2"),
        add("target"),
        mirror("STATUS=null"),
        mirror("STATUS=null", on_source_error="stop"),
        *NODES,
    ],
    "images are made and opened": [
        *CHAIN,
        drive(),
        *NODES,
        cancel(),
        drive(sync="top", target="new-top.qcow2"),
        *NODES,
        job("complete", "STATUS=null"),
        *NODES,
        drive(sync="none", target="new-none.qcow2", node_name="named"),
        *NODES,
        cancel(),
        drive(target="new.raw", format="raw"),
        cancel(),
        drive(target="target.qcow2", mode="existing"),
        cancel(),
        drive(target="target.raw", mode="existing", format="raw", unmap=False),
        cancel(),
        *NODES,
    ],
    "images that are refused": [
        *CHAIN,
        drive(None, format="nope"),
        drive(None, device="nope"),
        drive(None, device="mid"),
        drive(None, target="nope/new.qcow2"),
        drive(None, target="nope.qcow2", mode="existing"),
        drive(None, target="top.qcow2", mode="existing"),
        drive(None, replaces="top"),
        drive(None, node_name="top"),
        drive(None, granularity=3),
        drive(None, buf_size=-1),
        drive(None, job_id="1x"),
        drive(None, sync="bitmap"),
        drive(None, nonsense=1),
        *NODES,
    ],
    "a commit in the middle": [
        *CHAIN,
        *GRAPH,
        commit("BLOCK_JOB_PENDING", top_node="mid", base_node="base", **HELD),
        *NODES,
        *GRAPH,
        *JOBS,
        job("pause"),
        job("complete"),
        change(type="commit"),
        job("finalize", "STATUS=concluded"),
        *NODES,
        *JOBS,
        job("dismiss"),
        *GRAPH,
    ],
    "a commit in the middle, by names": [
        add("top"),
        commit("STATUS=null", top="mid.qcow2", base="base.qcow2", filter_node_name="flt"),
        *NODES,
    ],
    "a commit in the middle, another name stored": [
        *CHAIN,
        commit("STATUS=null", top_node="mid", backing_file="stored.qcow2", backing_mask_protocol=True),
        *NODES,
    ],
    "a commit in the middle, from state to state": [
        *CHAIN,
        commit("STATUS=running", top_node="mid", speed=1),
        *JOBS,
        *every_verb(),
        job("complete"),
        change(type="commit"),
        mirror(None, job_id="k"),
        commit(None, job_id="k"),
        commit(None, job_id="k", top_node="mid"),
        step("blockdev-del", node_name="mid"),
        job("pause", "STATUS=paused"),
        *JOBS,
        *every_verb(),
        cancel(None),
        cancel(force=True),
        *NODES,
    ],
    "a commit of two layers under a third": [
        *CHAIN,
        add("more", "target.qcow2", backing="top"),
        commit("STATUS=null", device="more", top_node="top", base_node="base"),
        *NODES,
    ],
    "a layer that cannot be read": [
        add("top", "over-bad-mid.qcow2"),
        commit("STATUS=null", top="bad-mid.qcow2"),
        *NODES,
        commit("STATUS=paused", top="bad-mid.qcow2", on_error="stop"),
        *JOBS,
        job("resume", "STATUS=paused"),
        cancel(force=True),
        *NODES,
    ],
    "an active commit completes": [
        *CHAIN,
        commit("BLOCK_JOB_READY", base_node="mid"),
        *NODES,
        *GRAPH,
        *JOBS,
        job("complete", "STATUS=null"),
        *NODES,
        *GRAPH,
    ],
    "an active commit into the lowest layer": [
        *CHAIN,
        commit("BLOCK_JOB_READY", **HELD),
        *NODES,
        *GRAPH,
        change(),
        job("complete", "BLOCK_JOB_PENDING"),
        *JOBS,
        job("finalize", "STATUS=concluded"),
        *NODES,
        *JOBS,
        job("dismiss"),
    ],
    "an active commit into a smaller base": [
        add("other"),
        commit("BLOCK_JOB_READY", device="other"),
        *NODES,
        *GRAPH,
        job("complete", "STATUS=null"),
        *NODES,
    ],
    "an active commit ends as a copy": [
        add("base"),
        add("mid", backing="base"),
        add("top", backing="mid"),
        commit("BLOCK_JOB_READY"),
        cancel(),
        *NODES,
        commit("BLOCK_JOB_READY"),
        cancel(force=True),
        *NODES,
    ],
    "commits that are refused": [
        *CHAIN,
        add("target"),
        *(
            commit(None, **wrong)
            for wrong in (
                {"device": "nope"},
                {"device": "mid"},
                {"device": "target"},
                {"job_id": ""},
                {"job_id": "1x"},
                {"base": "nope"},
                {"base_node": "nope"},
                {"base_node": "top"},
                {"base_node": "target"},
                {"top": "nope"},
                {"top_node": "nope"},
                {"top_node": "target"},
                {"top_node": "base"},
                {"top_node": "mid", "base_node": "top"},
                {"top_node": "mid", "base_node": "mid"},
                {"top": "x", "top_node": "top"},
                {"base": "x", "base_node": "base"},
                {"backing_file": "x"},
                {"speed": -1},
                {"top_node": "mid", "speed": -1},
                {"on_error": "nope"},
                {"filter_node_name": "base"},
                {"top_node": "mid", "filter_node_name": "base"},
                {"top_node": "mid", "filter_node_name": "1x"},
                {"nonsense": 1},
            )
        ),
        *NODES,
    ],
}

COPIES = {
    "a mirror completes": ("target.qcow2", "top.raw"),
    "a mirror ends as a copy": ("target.qcow2", "top.raw"),
    "images are made and opened": ("new-top.qcow2", "top.raw"),
    "an active commit completes": ("mid.qcow2", "top.raw"),
    "an active commit into the lowest layer": ("base.qcow2", "top.raw"),
    "an active commit into a smaller base": ("small.qcow2", "other.raw"),
    "an active commit ends as a copy": ("base.qcow2", "top.raw"),
}
"""What must equal what afterwards, beyond that every chain shows what it showed."""

TIMED = {
    "a mirror from state to state": PROGRESS,
    "a mirror is called off early": PROGRESS,
    "a commit in the middle, from state to state": PROGRESS,
}
"""Sessions in which a job is looked at while it moves data."""

BAD = ("bad.qcow2", "bad-mid.qcow2")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Start our daemon, for all sessions in turn."""
    folder = tmp_path_factory.mktemp("daemon") / "ours"
    folder.mkdir()
    with Daemon(OURS, folder) as daemon:
        yield daemon


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_goes_as_on_qemu(name: str, images: Path, ours: Daemon) -> None:
    compare(RECORDING, name, SESSIONS[name], images, ours, ignoring=TIMED.get(name, frozenset()))
    for image in sorted(ours.folder.glob("*.qcow2")):
        data, before = image.read_bytes(), images / image.name
        if image.name not in BAD and not (before.exists() and before.read_bytes() == data):
            assert judge(data) == ([], 0), image
    if name != "a commit in the middle, another name stored":
        for image_name, raw in (*SEEN.items(), *([COPIES[name]] if name in COPIES else [])):
            qemu_img("compare", "-q", "-F", "raw", ours.folder / image_name, ours.folder / raw)


@pytest.mark.parametrize("name", SESSIONS)
def test_the_recording_is_true(name: str, tmp_path: Path, images: Path) -> None:
    check_recording(RECORDING, name, SESSIONS[name], images, tmp_path, ignoring=TIMED.get(name, frozenset()))
