"""Lines of the monitor for people are answered as on QEMU 11.1, and on 7.2 where that agrees."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import Step, step
from tests.differential.machine_session import Session, check_recording, compare
from tests.images import make_qcow2, qemu_img

RECORDING = Path(__file__).parent / "recorded_hmp.json"
SCSI = ["virtio-scsi", "scsi-cd,id=cd"]
DISKS = [
    "if=none,id=d1,file=d1.qcow2,format=qcow2",
    "if=none,id=d2,file=d2.qcow2,format=qcow2",
    "if=none,id=ro,file=a.raw,format=raw,readonly=on",
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for name in ("a.raw", "b.raw"):
        qemu_img("create", "-q", "-f", "raw", folder / name, "1M")
    for name in ("d1", "d2", "base"):
        make_qcow2(folder / f"{name}.qcow2", "4M")
    make_qcow2(folder / "top.qcow2", "4M", backing_file="base.qcow2", backing_fmt="qcow2")
    return folder


def lines(text: str) -> list[Step]:
    """Make steps of lines; an event to wait for stands behind a ``#``."""
    return [_line(*line.strip().split(" # ")) for line in text.strip().splitlines()]


def _line(line: str, until: str | None = None) -> Step:
    return step("human-monitor-command", until, command_line=line)


def null(name: str, **options: Any) -> dict[str, Any]:
    return {"driver": "null-co", "node-name": name, "size": 1 << 20, "read-zeroes": True, **options}


def named(*names: str) -> Sequence[dict[str, Any]]:
    return [null(name) for name in names]


SESSIONS = {
    "lines that are none": Session(
        drives=["if=none,id=named,driver=null-co"],
        devices=SCSI,
        steps=lines(r"""
            nonsense foo
            info nonsense
            info nonsense foo
            help nonsense
            help info nonsense
            help a b
            #foo
            info   status
            info status extra
            quit extra
            q x
            stop x
            eject
            eject -f
            eject -x cd
            eject -ff cd
            eject - cd
            eject "cd
            eject "c\d"
            eject "c\nd"
            eject nothing
            eject named
            getfd
            getfd foo
            closefd foo
        """),
    ),
    "numbers": Session(
        drives=["if=none,id=named,driver=null-co"],
        devices=SCSI,
        steps=lines("""
            block_resize
            block_resize named
            block_resize named x
            block_resize named -1
            block_resize named 1x
            block_resize named 0.5
            block_resize named 99999999999999999999
            block_resize nothing 1
            block_set_io_throttle named 1 2
            block_set_io_throttle named 1000 0 0 0 0 x
            block_set_io_throttle named 1000 0 0 0 0 0 0
            block_set_io_throttle named (10+5)*2/3 0 0 0 0 0
            info block named
            block_set_io_throttle named 7&3|8 0 0 0 0 0
            block_set_io_throttle named 0x10+010 0 0 0 0 0
            info block named
            block_set_io_throttle named 1/0 0 0 0 0 0
            block_set_io_throttle named 'a' 0 0 0 0 0
            block_set_io_throttle named (1 0 0 0 0 0
            block_set_io_throttle named -5 0 0 0 0 0
            block_set_io_throttle named ~5 0 0 0 0 0
            block_set_io_throttle named $eax 0 0 0 0 0
            block_set_io_throttle named 99999999999999999999 0 0 0 0 0
            block_set_io_throttle named 0 0 0 0 0 2+3*4-1
            info block named
            balloon x
            balloon 100
            set_link foo
            set_link foo maybe
            set_link foo on
            block_job_set_speed named 1,5
            block_job_set_speed named 1M
        """),
        alike_in_7_2=False,
    ),
    "the machine": Session(
        drives=["if=none,id=named,driver=null-co"],
        devices=SCSI,
        steps=[
            step("object-add", qom_type="iothread", id="io"),
            step("chardev-add", id="c", backend={"type": "null", "data": {}}),
            *lines("""
            info name
            info uuid
            info kvm
            info balloon
            info cpus
            info dump
            info history
            info hotpluggable-cpus
            info iothreads
            info memory-devices
            info memory_size_summary
            info memdev
            info mice
            info numa
            info replay
            info sev
            info spice
            info tpm
            info vm-generation-id
            info vnc
            info virtio
            info status
            cont # RESUME
            info status
            stop # STOP
            info status
            s
            c # RESUME
            system_reset # RESET
            system_wakeup
            watchdog_action foo
            watchdog_action pause
            watchdog_action
            nmi
            info block-jobs
            """),
        ],
        alike_in_7_2=False,
    ),
    "migration": Session(
        steps=lines("""
            info migrate
            info migrate -a
            info migrate_capabilities
            info migrate_parameters
            migrate_set_capability events on
            migrate_set_capability foo on
            migrate_set_capability events foo
            migrate_set_parameter downtime-limit 100
            migrate_set_parameter max-bandwidth 1.5
            migrate_set_parameter avail-switchover-bandwidth 0x2
            migrate_set_parameter max-bandwidth q
            migrate_set_parameter max-bandwidth 5q
            migrate_set_parameter max-bandwidth -1
            migrate_set_parameter max-postcopy-bandwidth 7
            migrate_set_parameter announce-max 1k
            migrate_set_parameter xbzrle-cache-size 4
            migrate_set_parameter downtime-limit -1
            migrate_set_parameter multifd-channels 010
            migrate_set_parameter multifd-channels 1_0
            migrate_set_parameter max-cpu-throttle q
            migrate_set_parameter cpu-throttle-tailslow y
            migrate_set_parameter cpu-throttle-tailslow maybe
            migrate_set_parameter foo 1
            info migrate_capabilities
            info migrate_parameters
            migrate_cancel
            migrate_continue pre-switchover
            migrate_incoming defer
        """),
        alike_in_7_2=False,
    ),
    "drives are shown": Session(
        blockdevs=[null("n", **{"read-only": True, "detect-zeroes": "on", "cache": {"direct": True}})],
        drives=[
            "if=none,id=named,file=top.qcow2,format=qcow2,bps=1000,iops=7,iops_max=9,cache=unsafe",
            "if=none,id=empty",
            "if=none,id=plain,file=b.raw,format=raw,cache=writethrough",
        ],
        devices=[*SCSI, "scsi-hd,drive=named,id=hd", "virtio-blk,id=vb,drive=n"],
        steps=lines("""
            info block
            info block -n
            info block named
            info block n
            info block -n n
            info block nothing
            info block -v plain
            info block -v empty
            info blockstats
        """),
        alike_in_7_2=False,
    ),
    "a chain is shown": Session(
        drives=["if=none,id=named,file=top.qcow2,format=qcow2"],
        steps=lines("info block -v"),
        alike_in_7_2=False,
    ),
    "media": Session(
        drives=["if=none,id=empty"],
        devices=[*SCSI, "scsi-cd,id=cd2,drive=empty"],
        steps=lines("""
            change empty a.raw raw # DEVICE_TRAY_MOVED
            info block empty
            change empty a.raw raw foo
            change empty b.raw raw read-only
            change empty none.raw raw
            change vnc foo
            info block empty
            eject empty # DEVICE_TRAY_MOVED
            eject -f empty
            info block empty
        """),
        alike_in_7_2=False,
    ),
    "drives come and go": Session(
        blockdevs=named("m"),
        drives=["if=none,id=d1,file=d1.qcow2,format=qcow2"],
        devices=[*SCSI, "scsi-hd,drive=d1,id=hd"],
        steps=lines("""
            drive_add
            drive_add 0 if=none,id=x,driver=null-co
            drive_add 0 if=none,id=x,driver=null-co
            drive_add 0 foo=bar
            drive_add 0 if=virtio,file=b.raw,format=raw
            drive_add -n 0 driver=null-co,node-name=nn
            drive_add -n 0 driver=null-co
            drive_add auto if=none,id=y
            info block
            drive_del x
            drive_del x
            drive_del nn
            drive_del m
            drive_del d1
            info block
            drive_add 0 if=none,id=z,file=d1.qcow2,format=qcow2
        """),
        alike_in_7_2=False,
    ),
    "jobs": Session(
        drives=DISKS,
        devices=SCSI,
        steps=lines("""
            block_stream nothing
            block_stream d1 1 base x
            block_job_cancel d1
            block_job_complete d1
            block_job_pause d1
            block_job_resume d1
            drive_mirror d1
            drive_mirror nothing x
            drive_mirror d1 m.qcow2 qcow2 # BLOCK_JOB_READY
            info block-jobs
            block_job_set_speed d1 5M
            info block-jobs
            block_job_cancel d1 # STATUS=null
            info block-jobs
            drive_mirror -f d1 m.raw raw # BLOCK_JOB_READY
            block_job_complete d1 # STATUS=null
            info block d1
            drive_backup d2
            drive_backup nothing x
            drive_backup -f d2 b.qcow2 qcow2 # STATUS=null
            snapshot_blkdev d2
            snapshot_blkdev nothing x
            snapshot_blkdev d2 over.qcow2
            info block d2
            block_stream d2 # STATUS=null
            info block d2
            snapshot_blkdev_internal d2
            snapshot_blkdev_internal d2 s1
            snapshot_blkdev_internal d2 s1
            snapshot_delete_blkdev_internal d2 s1
            snapshot_delete_blkdev_internal d2 s1
            snapshot_delete_blkdev_internal d2 s1 7
        """),
    ),
    "NBD": Session(
        drives=[*DISKS, "if=none,id=empty"],
        steps=lines("""
            nbd_server_add d1
            nbd_server_start
            nbd_server_start foo
            nbd_server_start -w unix:nbd.sock
            nbd_server_start unix:nbd.sock
            nbd_server_start unix:nbd.sock
            nbd_server_add d1
            nbd_server_add d1
            nbd_server_add -w d1 exp
            nbd_server_add nothing
            nbd_server_add empty
            nbd_server_remove exp # BLOCK_EXPORT_DELETED
            nbd_server_remove -f d1 # BLOCK_EXPORT_DELETED
            nbd_server_remove nothing
            nbd_server_stop
            nbd_server_stop
            nbd_server_start -a unix:nbd.sock
            nbd_server_stop # BLOCK_EXPORT_DELETED
        """),
        alike_in_7_2=False,
    ),
    "snapshots": Session(
        drives=DISKS,
        steps=lines("""
            info snapshots
            snapshot_blkdev_internal d1 partial
            info snapshots
            savevm first
            savevm first
            savevm
            info snapshots
            loadvm
            loadvm nothing
            loadvm partial
            loadvm first
            info status
            cont # RESUME
            savevm first # RESUME
            loadvm first # RESUME
            info status
            loadvm nothing # STOP
            info status
            cont # RESUME
            stop # STOP
            delvm nothing
            delvm
            delvm first
            info snapshots
            savevm a b
        """),
        alike_in_7_2=False,
    ),
    "a drive is committed": Session(
        drives=["if=none,id=named,file=top.qcow2,format=qcow2", "if=none,id=empty", *DISKS[2:]],
        devices=SCSI,
        steps=lines("""
            qemu-io named "write -P 5 0 64k"
            commit
            commit nothing
            commit empty
            commit ro
            commit named
            info block named
            commit all
            qemu-io named map
        """),
        alike_in_7_2=False,
    ),
    "no disk for a snapshot": Session(
        steps=lines("""
            savevm x
            loadvm x
            delvm x
            info snapshots
        """),
        alike_in_7_2=False,
    ),
    "a disk without snapshots": Session(
        blockdevs=[
            {"driver": "qcow2", "node-name": "q", "file": {"driver": "file", "filename": "d1.qcow2"}},
            null("n"),
        ],
        devices=["virtio-blk,drive=q"],
        steps=[
            *lines("""
            savevm x
            loadvm x
            delvm x
            """),
            step("blockdev-snapshot-internal-sync", device="q", name="partial"),
            *lines("info snapshots"),
        ],
        alike_in_7_2=False,
    ),
    "objects": Session(
        blockdevs=named("n"),
        devices=[*SCSI, "virtio-blk,id=vb,drive=n"],
        steps=lines("""
            object_add
            object_add iothread
            object_add iothread,id=io1
            object_add qom-type=iothread,id=io1
            object_add iothread,id=x,foo=1
            object_del io1
            object_del io1
            device_add
            device_add nonsense
            device_add virtio-rng-pci,id=r
            device_add virtio-rng-pci,id=r
            device_add scsi-hd,foo=1
            device_add scsi-hd,id=hd,drive=
            device_del nothing
            device_del cd # DEVICE_DELETED
            qom-list
            qom-list /nothing
            qom-get /machine/peripheral/vb drive
            qom-get /machine/peripheral/vb nothing
            qom-get /machine/peripheral/vb
            qom-get /objects type
            qom-set /machine/peripheral/vb bootindex 3
            qom-get /machine/peripheral/vb bootindex
            qom-set -j /machine/peripheral/vb bootindex 4
            qom-set -j /machine/peripheral/vb bootindex {
            qom-get /machine/peripheral/vb bootindex
            qom-get /machine/peripheral/vb parent_bus
            qom-get /machine/peripheral/vb realized
            info qom-tree /nothing
        """),
        alike_in_7_2=False,
    ),
    "chardevs": Session(
        steps=lines(r"""
            chardev-add
            chardev-add null,id=c2
            chardev-add null,id=c2
            chardev-add null
            chardev-add foo,id=c3
            chardev-add ringbuf,id=c3,size=3
            chardev-add ringbuf,id=c1
            chardev-change c2 null
            chardev-change c2
            chardev-change c9 null
            chardev-remove c2
            chardev-remove c2
            chardev-send-break c1
            chardev-send-break c9
            ringbuf_write c1 hello
            ringbuf_write c1 "hello \"world\"\n"
            ringbuf_write c1
            ringbuf_read c1 100
            ringbuf_read c1 x
            ringbuf_read c9 1
        """),
    ),
    "requests by hand": Session(
        blockdevs=[*named("free"), null("ro", **{"read-only": True}), *named("used")],
        drives=["if=none,id=named,file=a.raw,format=raw", "if=none,id=empty"],
        devices=[*SCSI, "scsi-hd,drive=named,id=hd", "scsi-hd,drive=used,id=hd2"],
        steps=lines("""
            qemu-io
            qemu-io named
            qemu-io named "write 0 4k" extra
            qemu-io named "write -P 1 0 4k"
            qemu-io named "read -P 2 0 4k"
            qemu-io named nonsense
            qemu-io -d hd "read 0 4k"
            qemu-io -d nothing "read 0 4k"
            qemu-io hd "read 0 4k"
            qemu-io used "read 0 4k"
            qemu-io used "write 0 4k"
            qemu-io free "write 0 4k"
            qemu-io ro "write 0 4k"
            qemu-io ro "read 0 4k"
            qemu-io nothing "read 0 4k"
            qemu-io empty "read 0 4k"
            qemu-io -d cd "read 0 4k"
            qemu-io named ""
        """),
    ),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_lines_are_answered_as_recorded(name: str, images: Path, tmp_path: Path) -> None:
    compare(RECORDING, name, SESSIONS[name], images, tmp_path)


@pytest.mark.parametrize("name", SESSIONS)
def test_what_is_recorded_is_what_qemu_says(name: str, images: Path, tmp_path: Path) -> None:
    check_recording(RECORDING, name, SESSIONS[name], images, tmp_path)
