"""Media, limits and counts of a machine's devices are as on QEMU 11.1, and on 7.2 where that agrees."""

from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import step
from tests.differential.machine_session import Session, check_recording, compare
from tests.images import make_qcow2, qemu_img

RECORDING = Path(__file__).parent / "recorded_media.json"
VIRTIO = "/machine/peripheral/vb/virtio-backend"
QUERY = step("query-block")
COUNTS = step("query-blockstats")
GRAPH = step("x-debug-query-block-graph")
NODES = step("query-named-block-nodes", flat=True)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    qemu_img("create", "-q", "-f", "raw", folder / "a.raw", "1M")
    qemu_img("create", "-q", "-f", "raw", folder / "b.raw", "1M")
    make_qcow2(folder / "base.qcow2", "1M")
    make_qcow2(folder / "top.qcow2", "1M", backing_file="base.qcow2", backing_fmt="qcow2")
    return folder


def null(name: str, **options: Any) -> dict[str, Any]:
    more = {key.replace("_", "-"): value for key, value in options.items()}
    return {"driver": "null-co", "node-name": name, "size": 1 << 20, "read-zeroes": True, **more}


def raw(name: str, **options: Any) -> dict[str, Any]:
    file = {"driver": "file", "filename": f"{name}.raw", "node-name": f"{name}-file"}
    return {"driver": "raw", "node-name": name, "file": file, **options}


NO_LIMITS = dict.fromkeys(("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)


def throttle(**limits: Any) -> Any:
    item = step("block_set_io_throttle")
    item.arguments |= NO_LIMITS | limits
    return item


SCSI = ["virtio-scsi", "scsi-cd,id=cd", "scsi-hd,id=hd,drive=n"]

SESSIONS = {
    "trays": Session(
        blockdevs=[null("n"), raw("a"), null("r", read_only=True)],
        devices=SCSI,
        steps=[
            QUERY,
            step("eject", id="cd"),
            step("eject", id="cd"),
            step("blockdev-close-tray", id="cd"),
            step("blockdev-close-tray", id="cd"),
            step("blockdev-remove-medium", id="cd"),
            step("blockdev-insert-medium", id="cd", node_name="a"),
            step("blockdev-open-tray", id="cd"),
            step("blockdev-open-tray", id="cd"),
            step("blockdev-insert-medium", id="cd", node_name="nothing"),
            step("blockdev-insert-medium", id="cd", node_name="n"),
            step("blockdev-insert-medium", id="cd", node_name="a"),
            QUERY,
            step("blockdev-insert-medium", id="cd", node_name="r"),
            step("blockdev-del", node_name="a"),
            step("blockdev-close-tray", id="cd"),
            step("eject", id="cd"),
            step("blockdev-remove-medium", id="cd"),
            step("blockdev-del", node_name="a"),
            QUERY,
        ],
    ),
    "what is not removable": Session(
        blockdevs=[null("n"), null("m"), null("v")],
        devices=[*SCSI, "virtio-blk,id=vb,drive=v"],
        steps=[
            step("eject", id="hd"),
            step("eject", id="hd", force=True),
            step("blockdev-open-tray", id="hd"),
            step("blockdev-close-tray", id="hd"),
            step("blockdev-remove-medium", id="hd"),
            step("blockdev-insert-medium", id="hd", node_name="m"),
            step("blockdev-change-medium", id="hd", filename="a.raw", format="raw"),
            step("eject", id=VIRTIO),
            step("eject", id="vb"),
            step("eject", id="nobody"),
            step("eject", device="nobody"),
            step("eject"),
            step("eject", id="hd", device="hd"),
            QUERY,
        ],
        alike_in_7_2=False,
    ),
    "other media": Session(
        blockdevs=[null("n")],
        devices=[*SCSI, "ide-cd,id=ide", "floppy,id=fd"],
        steps=[
            step("blockdev-change-medium", id="cd", filename="a.raw", format="raw"),
            QUERY,
            step(
                "blockdev-change-medium", id="cd", filename="b.raw", format="raw", read_only_mode="read-only"
            ),
            step("blockdev-change-medium", id="cd", filename="none.raw", format="raw"),
            step("blockdev-change-medium", id="cd", filename="a.raw", format="qcow2"),
            step("blockdev-change-medium", id="cd", filename="a.raw", format="bogus"),
            step("blockdev-change-medium", id="ide", filename="top.qcow2"),
            step(
                "blockdev-change-medium", id="fd", filename="a.raw", format="raw", read_only_mode="read-write"
            ),
            QUERY,
            COUNTS,
            step("eject", id="fd"),
            step("blockdev-change-medium", id="fd", filename="a.raw", format="raw"),
            QUERY,
            step("blockdev-open-tray", id="fd"),
            step("blockdev-close-tray", id="fd"),
            step("blockdev-remove-medium", id="fd"),
        ],
    ),
    "limits": Session(
        blockdevs=[null("n"), null("v")],
        drives=["if=none,id=named,driver=null-co", "if=none,id=empty"],
        devices=[*SCSI, "virtio-blk,id=vb,drive=v"],
        steps=[
            throttle(id="cd", iops=100),
            throttle(device="empty", iops=100),
            throttle(device="named", iops=100, iops_rd=7),
            throttle(device="named", bps=10, bps_max=5),
            throttle(device="named", iops=100, group="g"),
            throttle(id="hd", iops=100, iops_max=200, iops_max_length=4, iops_size=512),
            throttle(id="hd", bps=1, bps_max_length=4),
            throttle(id="hd", iops_size=4),
            throttle(id=VIRTIO, bps_rd=1000, bps_wr=2000, bps_wr_max=4000),
            QUERY,
            throttle(id=VIRTIO, iops=5, group="g"),
            QUERY,
            step("object-add", qom_type="throttle-group", id="g"),
            throttle(id=VIRTIO, group="g"),
            throttle(device="named"),
            step("object-add", qom_type="throttle-group", id="g", limits={"iops-total": 3}),
            throttle(device="named", iops=9, group="g"),
            step("qom-get", path="/objects/g", property="limits"),
            step("object-del", id="g"),
            throttle(device="named"),
            step("object-del", id="g"),
            QUERY,
        ],
        alike_in_7_2=False,
    ),
    "histograms": Session(
        blockdevs=[null("n")],
        devices=SCSI,
        steps=[
            step("block-latency-histogram-set", id="hd", boundaries=[10, 5]),
            step("block-latency-histogram-set", id="hd", boundaries=[10, 50]),
            step("block-latency-histogram-set", id="hd", boundaries_read=[0, 50]),
            step("block-latency-histogram-set", id="hd", boundaries_flush=[7]),
            step("block-latency-histogram-set", id="cd", boundaries_write=[5]),
            step("block-latency-histogram-set", id="nobody"),
            COUNTS,
            step("block-latency-histogram-set", id="hd"),
            COUNTS,
        ],
        alike_in_7_2=False,
    ),
    "counts of a chain": Session(
        blockdevs=[null("n")],
        drives=[
            "if=none,id=chain,file=top.qcow2,format=qcow2,"  # noqa: ISC004 - one drive
            "stats-intervals.0=10,stats-intervals.1=60,stats-account-invalid=off"
        ],
        devices=[*SCSI, "scsi-hd,id=disk,drive=chain"],
        steps=[COUNTS, step("query-blockstats", query_nodes=True), QUERY],
        alike_in_7_2=False,
    ),
    "drives and nodes share names": Session(
        blockdevs=[null("n")],
        drives=["if=none,id=named,file=top.qcow2,format=qcow2", "if=none,id=empty"],
        steps=[
            step("blockdev-add", driver="null-co", node_name="named"),
            step("block_resize", device="named", size=2 << 20),
            step("block_resize", device="empty", size=2 << 20),
            step("block_resize", device="nobody", node_name="n", size=2 << 20),
            step("block_resize", device="nobody", size=2 << 20),
            step("block-dirty-bitmap-add", node="named", name="b"),
            QUERY,
            step("block-commit", device="empty"),
            step("block-commit", device="nobody"),
            step("block-stream", device="empty"),
            step("block-stream", "STATUS=null", device="named"),
            step("blockdev-snapshot-sync", device="empty", snapshot_file="over.qcow2"),
            step(
                "blockdev-snapshot-sync", device="named", snapshot_file="over.qcow2", snapshot_node_name="o"
            ),
            QUERY,
            step("eject", device="named"),
            step("eject", device="empty"),
            QUERY,
        ],
        alike_in_7_2=False,
    ),
    "drives of old": Session(
        drives=[
            "if=none,id=plain,file=a.raw,format=raw,cache=none,detect-zeroes=on,discard=unmap,bps=1000",
            "if=none,id=temporary,file=base.qcow2,format=qcow2,snapshot=on,werror=stop",
            "if=none,media=cdrom,file=b.raw,format=raw",
            "if=none,id=through,driver=null-co,cache=writethrough,throttling.group=g,iops=5,iops_max=9",
            "if=none,unit=7",
        ],
        steps=[QUERY, COUNTS],
    ),
    "what shows an io-status": Session(
        blockdevs=[null("n"), null("m")],
        devices=[
            "virtio-scsi",
            "scsi-hd,id=a,drive=n,werror=report",
            "scsi-hd,id=b,drive=m,rerror=stop,werror=report",
        ],
        steps=[QUERY],
    ),
    "what devices hold": Session(
        blockdevs=[*(null(name) for name in "abcdefgh"), *(null(name, read_only=True) for name in "rstuvwx")],
        devices=[
            "virtio-scsi",
            "usb-ehci,id=ehci",
            "scsi-hd,drive=r,id=r",
            "scsi-cd,drive=s,id=s",
            "scsi-hd,drive=a,id=a",
            "scsi-cd,drive=b,id=b",
            "ide-hd,drive=c,id=c,share-rw=on",
            "ide-cd,drive=d,id=d",
            "floppy,drive=e,id=e",
            "nvme,drive=f,id=f,serial=1",
            "usb-storage,drive=g,id=g,bus=ehci.0",
            "virtio-blk,drive=h,id=h,write-cache=off,rerror=ignore",
            "virtio-blk,drive=t,id=t",
            "floppy,drive=u,id=u,unit=1",
            "nvme,drive=v,id=v,serial=2",
            "usb-storage,drive=w,id=w,removable=on,bus=ehci.0",
        ],
        steps=[
            GRAPH,
            QUERY,
            step("device_add", driver="nvme", id="y", serial="3", drive="x"),
            step("eject", id="w"),
            step("eject", id="/machine/peripheral/w/w.0/legacy[0]"),
            QUERY,
        ],
        alike_in_7_2=False,
    ),
    "jobs on drives": Session(
        blockdevs=[null("t")],
        drives=["if=none,id=named,file=a.raw,format=raw,node-name=n"],
        devices=["virtio-scsi", "scsi-hd,id=hd,drive=named"],
        steps=[
            step("blockdev-mirror", "BLOCK_JOB_READY", device="named", target="t", sync="full"),
            QUERY,
            step("block_resize", device="named", size=2 << 20),
            step("blockdev-del", node_name="t"),
            step("device_del", id="nobody"),
            step("block-job-complete", "STATUS=null", device="named"),
            QUERY,
            step("block-dirty-bitmap-add", node="named", name="b"),
            QUERY,
            COUNTS,
        ],
        alike_in_7_2=False,
    ),
    "a reset": Session(
        blockdevs=[null("n")],
        devices=[*SCSI, "ide-cd,id=ide"],
        steps=[
            step("blockdev-open-tray", id="cd"),
            step("blockdev-open-tray", id="ide"),
            step("system_reset", "RESET"),
            QUERY,
        ],
    ),
    "inactive media": Session(
        blockdevs=[raw("a"), null("n")],
        devices=[*SCSI, "virtio-blk,id=vb,drive=a"],
        steps=[
            GRAPH,
            step("blockdev-set-active", active=False),
            NODES,
            GRAPH,
            step("blockdev-set-active", node_name="a", active=True),
            GRAPH,
            step("blockdev-add", driver="null-co", node_name="i", active=False),
            step("device_add", driver="scsi-hd", id="x", drive="i"),
            GRAPH,
            step("blockdev-set-active", node_name="a", active=False),
            step("cont", "RESUME"),
            NODES,
            GRAPH,
            step("stop", "STOP"),
        ],
        alike_in_7_2=False,
    ),
    "iothreads": Session(
        blockdevs=[null("n"), null("m")],
        devices=SCSI,
        steps=[
            step("x-blockdev-set-iothread", node_name="n", iothread="i"),
            step("object-add", qom_type="iothread", id="i"),
            step("x-blockdev-set-iothread", node_name="n", iothread="i"),
            step("x-blockdev-set-iothread", node_name="n", iothread="i", force=True),
            step("x-blockdev-set-iothread", node_name="n", iothread=None, force=True),
            step("x-blockdev-set-iothread", node_name="m", iothread="i"),
        ],
        alike_in_7_2=False,
    ),
    "a device goes": Session(
        blockdevs=[null("n"), null("v")],
        drives=["if=none,id=named,driver=null-co"],
        devices=[*SCSI, "scsi-hd,id=disk,drive=named,share-rw=on,write-cache=off"],
        steps=[
            step("device_add", driver="scsi-hd", id="x", drive="named"),
            step("device_add", driver="scsi-hd", id="x", drive="n"),
            step("device_add", driver="scsi-hd", id="x", drive="nothing"),
            step("device_add", driver="scsi-hd", id="x", drive="v"),
            step("blockdev-del", node_name="v"),
            QUERY,
            step("device_del", "DEVICE_DELETED", id="disk"),
            step("device_del", "DEVICE_DELETED", id="x"),
            step("blockdev-del", node_name="v"),
            QUERY,
            COUNTS,
        ],
    ),
}


def failing(errno: int) -> dict[str, Any]:
    """Return a node that fails to be read twice: once for whoever guesses its geometry, and once more."""
    error = {"event": "none", "iotype": "read", "once": True, "errno": errno}
    image = {"driver": "null-co", "size": 1 << 20, "read-zeroes": True}
    return {"driver": "blkdebug", "node-name": "n", "image": image, "inject-error": [error, error]}


def erring(device: str, errno: int, until: str, qdev_id: str = "d") -> Session:
    steps = [step("cont", until), step("query-status"), COUNTS]
    if "virtio-blk" not in device:
        # QEMU's firmware asks a virtio disk to write through.
        steps.append(QUERY)
    return Session(blockdevs=[failing(errno)], devices=device.split(), steps=steps, boots_from=qdev_id)


ERRORS = ",".join(
    f"inject-error.{number}.{rule}" for number in (0, 1) for rule in ("event=none", "iotype=read", "once=on")
)
"""The same, as ``-drive`` says it."""

INNER = "/machine/peripheral/d/virtio-backend"
SESSIONS |= {
    "a failed read stops the machine": erring(
        "virtio-blk,id=d,drive=n,rerror=stop,bootindex=0", 5, "STOP", INNER
    ),
    "no space stops the machine": erring("ide-hd,id=d,drive=n,rerror=stop,bootindex=0", 28, "STOP"),
    "a SCSI disk stops the machine": erring(
        "virtio-scsi scsi-hd,id=d,drive=n,rerror=stop,werror=report,bootindex=0", 5, "STOP"
    ),
    "a drive with a name forgets its error": Session(
        drives=[
            f"if=none,id=d,driver=blkdebug,image.driver=null-co,image.read-zeroes=on,{ERRORS},rerror=stop"
        ],
        devices=["ide-hd,drive=d,id=d,bootindex=0"],
        steps=[step("cont", "STOP"), QUERY, step("cont", "RESUME"), QUERY],
        boots_from="d",
    ),
    "a failed read is reported": erring(
        "virtio-scsi scsi-hd,id=d,drive=n,rerror=report,werror=report,bootindex=0", 5, "BLOCK_IO_ERROR"
    ),
    "a failed read is ignored": erring(
        "virtio-blk,id=d,drive=n,rerror=ignore,bootindex=0", 5, "BLOCK_IO_ERROR", INNER
    ),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_goes_as_recorded(name: str, images: Path, tmp_path: Path) -> None:
    compare(RECORDING, name, SESSIONS[name], images, tmp_path)


@pytest.mark.parametrize("name", SESSIONS)
def test_what_is_recorded_is_what_qemu_says(name: str, images: Path, tmp_path: Path) -> None:
    check_recording(RECORDING, name, SESSIONS[name], images, tmp_path)
