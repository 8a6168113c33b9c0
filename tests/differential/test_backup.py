"""Whole sessions around backups: what is said, in which order, and what is left, is as on QEMU 11.1."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import OURS, Daemon, Step, step
from tests.differential.recorded import DRAINS, PROGRESS, check_recording, compare
from tests.images import judge, make_qcow2, qemu_img, qemu_io

RECORDING = Path(__file__).parent / "recorded_backup.json"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a source, an overlay over a base, and targets of every kind."""
    folder = tmp_path_factory.mktemp("images")
    make_qcow2(folder / "src.qcow2", "4M")
    qemu_io(folder / "src.qcow2", "write -P 1 0 1M", "write -P 2 2M 64k", "write -z 3M 64k")
    shutil.copy(folder / "src.qcow2", folder / "base.qcow2")
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", folder / "over.qcow2")
    qemu_io(folder / "over.qcow2", "write -P 7 1M 128k", "write -P 8 2100k 1k")
    make_qcow2(folder / "dst.qcow2", "4M")
    make_qcow2(folder / "wide.qcow2", "4M", cluster_size="256k")
    qemu_io(folder / "wide.qcow2", "write -P 5 0 4M")
    make_qcow2(folder / "small.qcow2", "2M")
    make_qcow2(folder / "odd.qcow2", "1049088")
    qemu_io(folder / "odd.qcow2", "write -P 3 1M 512")
    make_qcow2(folder / "odd-dst.qcow2", "1049088")
    qemu_img("create", "-q", "-f", "raw", folder / "dst.raw", "4M")
    (folder / "sub").mkdir()
    for image in ("src", "over", "odd"):
        qemu_img("convert", "-O", "raw", folder / f"{image}.qcow2", folder / f"{image}.raw")
    return folder


def add(node: str, filename: str, driver: str = "qcow2", **options: Any) -> Step:
    file = {"driver": "file", "filename": filename}
    return step("blockdev-add", driver=driver, node_name=node, file=file, **options)


def troubled(node: str, filename: str, event: str, errno: int) -> Step:
    """Add a node one of whose requests fails."""
    file = {
        "driver": "blkdebug",
        "image": {"driver": "file", "filename": filename},
        "inject-error": [{"event": event, "errno": errno, "once": True}],
    }
    return step("blockdev-add", driver="qcow2", node_name=node, file=file)


def backup(until: str | None = None, /, **arguments: Any) -> Step:
    usual = {"job_id": "j", "device": "s", "target": "d", "sync": "full"}
    return step("blockdev-backup", until, **usual | arguments)


def image_backup(until: str | None = None, /, **arguments: Any) -> Step:
    usual = {"job_id": "j", "device": "s", "target": "new.qcow2", "sync": "full"}
    return step("drive-backup", until, **usual | arguments)


def filtered(node: str = "f", /, **options: Any) -> Step:
    return step(
        "blockdev-add", driver="copy-before-write", node_name=node, **{"file": "s", "target": "d"} | options
    )


def action(kind: str, **data: Any) -> dict[str, Any]:
    return {"type": kind, "data": {key.replace("_", "-"): value for key, value in data.items()}}


def backup_action(job: str = "j", **data: Any) -> dict[str, Any]:
    return action("blockdev-backup", **{"job_id": job, "device": "s", "target": "d", "sync": "full"} | data)


def transaction(*actions: dict[str, Any], until: str | None = None, mode: str | None = None) -> Step:
    properties = {} if mode is None else {"properties": {"completion-mode": mode}}
    return Step("transaction", {"actions": list(actions), **properties}, until)


SOURCE, TARGET = add("s", "src.qcow2"), add("d", "dst.qcow2")
NODES = [step("query-named-block-nodes", flat=True)]
GRAPH = [*NODES, step("x-debug-query-block-graph")]
JOBS = [step("query-block-jobs"), step("query-jobs")]
STOPPED = step("x-debug-query-block-graph", "STATUS=paused")
"""Ask for anything, and wait for the pause that an error brings.  QEMU pauses for a moment before as well."""
DONE = "STATUS=null"
CONCLUDED = "STATUS=concluded"
PENDING = "BLOCK_JOB_PENDING"

SESSIONS: dict[str, list[Step]] = {
    "all of a node": [
        SOURCE,
        TARGET,
        backup(DONE),
        *GRAPH,
        *JOBS,
        step("blockdev-del", node_name="d"),
        step("blockdev-del", node_name="s"),
    ],
    "by hand from state to state": [
        SOURCE,
        TARGET,
        backup(PENDING, auto_finalize=False, auto_dismiss=False, filter_node_name="flt"),
        *GRAPH,
        *JOBS,
        step("job-pause", id="j"),
        step("block-job-set-speed", device="j", speed=1),
        step("job-complete", id="j"),
        step("job-dismiss", id="j"),
        step("blockdev-del", node_name="d"),
        step("blockdev-del", node_name="flt"),
        step("blockdev-del", node_name="s"),
        step("job-finalize", CONCLUDED, id="j"),
        *GRAPH,
        *JOBS,
        *(step(f"job-{verb}", id="j") for verb in ("pause", "resume", "cancel", "finalize", "complete")),
        step("job-dismiss", DONE, id="j"),
        *JOBS,
    ],
    "cancelled while pending": [
        SOURCE,
        TARGET,
        backup(PENDING, auto_finalize=False, auto_dismiss=False),
        step("job-cancel", CONCLUDED, id="j"),
        *JOBS,
        *NODES,
        step("job-dismiss", DONE, id="j"),
    ],
    "nothing is copied": [
        SOURCE,
        TARGET,
        backup(sync="none", filter_node_name="flt"),
        *GRAPH,
        *JOBS,
        step("job-pause", "STATUS=paused", id="j"),
        step("job-pause", id="j"),
        *JOBS,
        step("block-job-cancel", device="j"),
        step("job-resume", "STATUS=running", id="j"),
        step("job-resume", id="j"),
        step("block-job-set-speed", device="j", speed=5),
        step("block-job-set-speed", device="j", speed=-1),
        *(step(f"job-{verb}", id="j") for verb in ("complete", "finalize", "dismiss")),
        backup(job_id="k"),
        backup(job_id="k", device="d", target="s"),
        step("blockdev-del", node_name="s"),
        step("blockdev-del", node_name="d"),
        step("job-cancel", DONE, id="j"),
        *GRAPH,
    ],
    "the top only, of clusters of every size": [
        add("s", "over.qcow2"),
        TARGET,
        add("w", "wide.qcow2"),
        add("r", "dst.raw", "raw"),
        backup(DONE, sync="top"),
        backup(DONE, sync="top", target="w"),
        backup(DONE, sync="top", target="r", x_perf={"min-cluster-size": 1 << 20}),
        backup(DONE, sync="top", device="r", target="d"),
    ],
    "a size that is no multiple of anything": [
        add("s", "odd.qcow2"),
        add("d", "odd-dst.qcow2"),
        backup(DONE),
        backup(DONE, x_perf={"min-cluster-size": 1 << 20, "max-workers": 1, "use-copy-range": True}),
    ],
    "refused": [
        SOURCE,
        TARGET,
        add("w", "wide.qcow2"),
        add("small", "small.qcow2"),
        add("r", "dst.raw", "raw"),
        add("ro", "over.qcow2", read_only=True),
        step("block-dirty-bitmap-add", node="s", name="b"),
        backup(device="nope"),
        backup(target="nope"),
        backup(target="s"),
        backup(target="ro"),
        backup(job_id="1x"),
        step("blockdev-backup", device="s", target="d", sync="full"),
        step("blockdev-backup", job_id="j", device="s", target="d"),
        step("blockdev-backup", job_id="j", device="s", sync="full"),
        backup(sync="nonsense"),
        backup(nonsense=1),
        backup(sync="incremental"),
        backup(sync="bitmap"),
        backup(sync="bitmap", bitmap_mode="never"),
        backup(bitmap="b"),
        backup(bitmap="gone", bitmap_mode="never"),
        backup(bitmap="b", bitmap_mode="never"),
        backup(sync="none", bitmap="b", bitmap_mode="always"),
        backup(sync="top", bitmap="b", bitmap_mode="never"),
        backup(bitmap_mode="always"),
        backup(sync="incremental", bitmap="b", bitmap_mode="always"),
        backup(sync="bitmap", bitmap="b"),
        backup(sync="incremental", bitmap="gone"),
        backup(speed=-1),
        backup(target="small"),
        backup(device="small"),
        backup(target="r", compress=True),
        backup(filter_node_name="s"),
        backup(filter_node_name="1x"),
        backup(on_source_error="nonsense"),
        *(backup(x_perf={"max-workers": number}) for number in (0, -1, 1 << 40)),
        *(backup(x_perf={"max-chunk": number}) for number in (-1, 4096)),
        backup(x_perf={"max-chunk": 65536, "min-cluster-size": 131072}),
        backup(target="w", x_perf={"max-chunk": 65536}),
        backup(x_perf={"min-cluster-size": 1000}),
        backup(x_perf={"nonsense": 1}),
        *GRAPH,
        *JOBS,
    ],
    "what a bitmap has marked": [
        SOURCE,
        TARGET,
        step("block-dirty-bitmap-add", node="s", name="b"),
        step("block-dirty-bitmap-add", node="s", name="off", disabled=True),
        backup(PENDING, sync="incremental", bitmap="b", auto_finalize=False),
        *NODES,
        *(step(f"block-dirty-bitmap-{verb}", node="s", name="b") for verb in ("clear", "disable", "remove")),
        backup(job_id="k", sync="incremental", bitmap="b"),
        step("job-cancel", DONE, id="j"),
        *NODES,
        backup(DONE, bitmap="b", bitmap_mode="always"),
        backup(DONE, bitmap="b", bitmap_mode="on-success"),
        backup(DONE, sync="bitmap", bitmap="off", bitmap_mode="never"),
        backup(PENDING, sync="bitmap", bitmap="off", bitmap_mode="always", auto_finalize=False),
        *NODES,
        step("job-cancel", DONE, id="j"),
        *NODES,
    ],
    "a filter and what it keeps": [
        SOURCE,
        TARGET,
        add("small", "small.qcow2"),
        step("block-dirty-bitmap-add", node="s", name="b"),
        step("block-dirty-bitmap-add", node="small", name="other"),
        filtered(bitmap={"node": "s", "name": "gone"}),
        filtered(bitmap={"node": "gone", "name": "b"}),
        filtered(bitmap={"node": "small", "name": "other"}),
        filtered(min_cluster_size=1000),
        filtered(cbw_timeout=-1),
        filtered(on_cbw_error="nonsense"),
        filtered(target="gone"),
        filtered(bitmap={"node": "s", "name": "b"}),
        step("block-dirty-bitmap-remove", node="s", name="b"),
        *GRAPH,
        step("blockdev-add", driver="snapshot-access", node_name="a", file="f"),
        *GRAPH,
        step("blockdev-add", driver="snapshot-access", node_name="b", file="gone"),
        step("blockdev-add", driver="snapshot-access", node_name="b"),
        step("blockdev-del", node_name="f"),
        step("blockdev-del", node_name="a"),
        step("blockdev-del", node_name="f"),
        filtered("g", target="small"),
        filtered("h", read_only=True),
        *GRAPH,
        step("blockdev-add", driver="snapshot-access", node_name="plain", file="s"),
        backup(CONCLUDED, job_id="k", device="plain", target="d", auto_dismiss=False),
        step("job-dismiss", DONE, id="k"),
    ],
    "the past is backed up while the present is written": [
        SOURCE,
        add("temp", "dst.qcow2"),
        add("out", "dst.raw", "raw"),
        step("blockdev-add", driver="null-co", node_name="zeroes", size=4 << 20, read_zeroes=True),
        filtered(target="temp"),
        step("blockdev-add", driver="snapshot-access", node_name="past", file="f", discard="unmap"),
        backup(DONE, job_id="w", device="zeroes", target="f"),
        *NODES,
        backup(DONE, device="past", target="out", discard_source=True),
        *NODES,
        backup(CONCLUDED, device="past", target="out", auto_dismiss=False),
        *JOBS,
        step("job-dismiss", DONE, id="j"),
    ],
    "what is neither data nor zeroes is read": [
        step(
            "blockdev-add",
            driver="blkdebug",
            node_name="s",
            image={"driver": "null-co", "size": 4 << 20},
            inject_error=[{"event": "none", "iotype": "read"}],
        ),
        add("out", "dst.raw", "raw"),
        backup(CONCLUDED, target="out", auto_dismiss=False),
        *JOBS,
        step("job-dismiss", DONE, id="j"),
    ],
    "images are made and opened": [
        add("s", "over.qcow2"),
        image_backup(DONE),
        image_backup(PENDING, target="top.qcow2", sync="top", auto_finalize=False),
        *GRAPH,
        step("job-finalize", DONE, id="j"),
        *NODES,
        image_backup(target="none.qcow2", sync="none"),
        *GRAPH,
        step("job-cancel", DONE, id="j"),
        image_backup(DONE, target="new.raw", format="raw"),
        image_backup(DONE, target="dst.qcow2", mode="existing", compress=True),
        image_backup(PENDING, target="top.qcow2", mode="existing", format="qcow2", auto_finalize=False),
        *GRAPH,
        step("job-cancel", DONE, id="j"),
        *GRAPH,
    ],
    "images that are refused": [
        add("s", "over.qcow2"),
        step("blockdev-add", driver="null-co", node_name="n", size=4 << 20),
        image_backup(device="nope"),
        image_backup(target="/nonexistent/t.qcow2"),
        image_backup(target=""),
        image_backup(format="nonsense"),
        image_backup(format="null-co"),
        image_backup(device="n"),
        image_backup(target="nonsense:x"),
        image_backup(mode="nonsense"),
        image_backup(mode="existing", target="gone"),
        image_backup(mode="existing", target="small.qcow2", format="qcow2"),
        image_backup(mode="existing", target="over.qcow2", format="qcow2"),
        image_backup(mode="existing", target="dst.raw", format="raw", sync="none"),
        image_backup(target="t.raw", format="raw", sync="top"),
        image_backup(target="t.raw", format="raw", sync="none"),
        image_backup(target="base.qcow2"),
        image_backup(sync="incremental"),
        image_backup(speed=-1),
        image_backup(job_id="1x"),
        *NODES,
        *JOBS,
    ],
    "errors": [
        SOURCE,
        troubled("d", "dst.qcow2", "write_aio", 28),
        backup(CONCLUDED, auto_dismiss=False),
        *JOBS,
        step("job-dismiss", id="j"),
        step("blockdev-del", node_name="d"),
        troubled("d", "wide.qcow2", "write_aio", 28),
        backup("BLOCK_JOB_ERROR", on_target_error="enospc", auto_dismiss=False),
        STOPPED,
        *JOBS,
        step("job-cancel", CONCLUDED, id="j"),
        *JOBS,
        step("job-dismiss", id="j"),
        step("blockdev-del", node_name="d"),
        step("blockdev-del", node_name="s"),
        troubled("s", "src.qcow2", "read_aio", 5),
        TARGET,
        backup("BLOCK_JOB_ERROR", on_source_error="stop"),
        STOPPED,
        *JOBS,
        step("job-resume", DONE, id="j"),
        step("blockdev-del", node_name="s"),
        troubled("s", "src.qcow2", "read_aio", 5),
        backup(DONE, on_source_error="ignore"),
    ],
    "in transactions": [
        SOURCE,
        TARGET,
        transaction(backup_action(), action("abort")),
        *JOBS,
        *NODES,
        transaction(backup_action(), backup_action("k", target="gone")),
        transaction(
            action("drive-backup", job_id="j", device="s", target="t.qcow2", sync="full"), action("abort")
        ),
        transaction(
            action("drive-backup", job_id="j", device="s", target="t.qcow2", sync="full"), until=DONE
        ),
        transaction(
            action("block-dirty-bitmap-add", node="s", name="b"),
            backup_action(bitmap="b", bitmap_mode="always", auto_finalize=False),
            until=PENDING,
        ),
        *NODES,
        step("job-finalize", DONE, id="j"),
        *NODES,
        transaction(backup_action(sync="incremental", bitmap="b"), action("abort")),
        *NODES,
        transaction(backup_action(nonsense=1)),
        transaction(action("blockdev-backup", job_id="j")),
    ],
    "several that end together": [
        SOURCE,
        TARGET,
        add("s2", "wide.qcow2"),
        add("d2", "dst.raw", "raw"),
        transaction(
            backup_action(sync="none"),
            backup_action("k", device="s2", target="d2", sync="none"),
            mode="grouped",
        ),
        *JOBS,
        step("job-cancel", DONE, id="j"),
        *JOBS,
    ],
}

TIMED = {"errors", "nothing is copied"}
"""Sessions in which a job is looked at while it moves data, or which pause by hand."""


def ignored(name: str) -> frozenset[str]:
    return (PROGRESS if name in TIMED else frozenset()) | {DRAINS}


COPIES = {
    "all of a node": [("dst.qcow2", "src.raw")],
    "a size that is no multiple of anything": [("odd-dst.qcow2", "odd.raw")],
    "the past is backed up while the present is written": [("dst.raw", "src.raw")],
    "images are made and opened": [
        (name, "over.raw") for name in ("new.qcow2", "top.qcow2", "new.raw", "dst.qcow2", "none.qcow2")
    ],
}
"""What must equal what afterwards."""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Start our daemon, for all sessions in turn."""
    folder = tmp_path_factory.mktemp("daemon") / "ours"
    folder.mkdir()
    with Daemon(OURS, folder) as daemon:
        yield daemon


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_goes_as_on_qemu(name: str, images: Path, ours: Daemon) -> None:
    compare(RECORDING, name, SESSIONS[name], images, ours, ignoring=ignored(name))
    for image in sorted(ours.folder.glob("*.qcow2")):
        data, before = image.read_bytes(), images / image.name
        if not (before.exists() and before.read_bytes() == data):
            assert judge(data) == ([], 0), image
    for image_name, raw in COPIES.get(name, ()):
        qemu_img("compare", "-q", "-F", "raw", ours.folder / image_name, ours.folder / raw)


@pytest.mark.parametrize("name", SESSIONS)
def test_the_recording_is_true(name: str, tmp_path: Path, images: Path) -> None:
    check_recording(RECORDING, name, SESSIONS[name], images, tmp_path, ignoring=ignored(name))
