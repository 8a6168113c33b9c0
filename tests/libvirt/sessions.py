"""List what virsh is asked of a running domain; `DIR` stands for the folder of its disks."""

from typing import NamedTuple


class Session(NamedTuple):
    """A domain's life: what is asked of it between its start and its end.

    Attributes:
        lines: The commands, without `virsh`.
        disks: Which image holds in the end what which disk held at first.
    """

    lines: tuple[str, ...]
    disks: tuple[tuple[str, str], ...] = ()


_SNAPSHOT = "--disk-only --no-metadata --diskspec hda,snapshot=no --diskspec hdc,snapshot=no"

SESSIONS = {
    "look": Session(
        (
            "domstate x --reason",
            "domblklist x --details",
            "domblkinfo x vda",
            "domblkinfo x sda",
            "domblkinfo x hda",
            "domblkstat x vda",
            "domblkstat x hdc",
            "domblkerror x",
            "domstats x --block --backing",
            "blockjob x vda",
            "vcpucount x",
            "vcpuinfo x",
            "dommemstat x",
            "domcontrol x",
            "resume x",
            "domstate x --reason",
            "suspend x",
            "domstate x --reason",
            "resume x",
            "reset x",
            "domstate x --reason",
            "qemu-monitor-command x --hmp info status",
            "qemu-monitor-command x --hmp info block",
            "qemu-monitor-command x --hmp info nonsense",
            'qemu-monitor-command x {"execute":"query-name"}',
            'qemu-monitor-command x {"execute":"nonsense"}',
            "set-user-password x root secret",
            "domblkstat x nonsense",
        )
    ),
    "limits and size": Session(
        (
            "blkdeviotune x vda",
            "blkdeviotune x vda --total-bytes-sec 1000000",
            "blkdeviotune x vda",
            "blkdeviotune x sda --read-iops-sec 100 --read-iops-sec-max 1000 --read-iops-sec-max-length 5 --size-iops-sec 4096",
            "blkdeviotune x sda",
            "blkdeviotune x hda --total-iops-sec 10 --read-iops-sec 5",
            "blkdeviotune x hda --group-name g --write-bytes-sec 5000000",
            "blkdeviotune x hda",
            "blkdeviotune x vda --total-bytes-sec 0",
            "blkdeviotune x vda",
            "blockresize x vda 24M",
            "blockresize x hda 9M",
            "domblkinfo x vda",
            "domblkthreshold x vda 1M",
            "domblkthreshold x vda[1] 1M",
            "domblkthreshold x nonsense 1M",
        )
    ),
    "snapshot one, pull whole": Session(
        (
            f"snapshot-create-as x {_SNAPSHOT} --diskspec sda,snapshot=no --diskspec vda,file=DIR/a1.qcow2",
            "domblklist x",
            "blockpull x vda --wait --verbose",
            "domstats x --block --backing",
            "blockjob x vda",
        ),
        (("a1.qcow2", "a.qcow2"),),
    ),
    "snapshot several, commit and pivot": Session(
        (
            f"snapshot-create-as x {_SNAPSHOT} --diskspec vda,file=DIR/a1.qcow2 --diskspec sda,file=DIR/s1.qcow2",
            f"snapshot-create-as x {_SNAPSHOT} --diskspec sda,snapshot=no --diskspec vda,file=DIR/a2.qcow2",
            "domblklist x",
            "blockcommit x vda --base DIR/a.qcow2 --top DIR/a1.qcow2 --wait --verbose --delete",
            "blockcommit x vda --active --wait --verbose --pivot",
            "blockcommit x sda --active --wait --verbose",
            "blockjob x sda",
            "blockjob x sda --abort",
            "domblklist x",
            "blockcommit x sda --active --wait --verbose --keep-overlay",
            "domblklist x",
        ),
        (("base.qcow2", "a.qcow2"), ("s1.qcow2", "s.qcow2")),
    ),
    "pull to a base, slowly": Session(
        (
            f"snapshot-create-as x {_SNAPSHOT} --diskspec sda,snapshot=no --diskspec vda,file=DIR/a1.qcow2",
            "blockpull x vda 1 --base DIR/base.qcow2",
            "blockjob x vda --info",
            "blockjob x vda 500",
            "blockpull x vda",
            "blockjob x vda --abort",
            "blockjob x vda --info",
            "blockpull x vda --base DIR/base.qcow2 --wait",
            "domstats x --block --backing",
        ),
        (("a1.qcow2", "a.qcow2"),),
    ),
    "copy, pivot, abort, reuse": Session(
        (
            "blockcopy x vda DIR/c1.qcow2 --wait --verbose --finish --transient-job",
            "domblklist x",
            "blockcopy x vda DIR/c2.qcow2 --wait --verbose --transient-job",
            "blockjob x vda --info",
            "blockjob x vda --abort",
            "blockcopy x vda DIR/c3.qcow2 --wait --verbose --pivot --transient-job",
            "domblklist x",
            "blockcopy x sda DIR/i.raw --reuse-external --wait --format raw --transient-job",
            "blockcopy x sda DIR/s2.raw --wait --verbose --pivot --transient-job --format raw",
            "blockcopy x vda DIR/c4.qcow2 --shallow --wait --verbose --pivot --transient-job",
            "domblklist x",
        ),
        (("c1.qcow2", "a.qcow2"), ("c3.qcow2", "a.qcow2"), ("c4.qcow2", "a.qcow2"), ("s2.raw", "s.qcow2")),
    ),
    "media": Session(
        (
            "change-media x hdc --eject",
            "change-media x hdc --eject",
            "domblklist x",
            "change-media x hdc DIR/other.iso --insert",
            "domblklist x",
            "change-media x hdc DIR/cd.iso --update",
            "domblklist x",
            "change-media x hdc DIR/missing.iso --update",
            "change-media x vda DIR/cd.iso --update",
        )
    ),
    "attach and detach": Session(
        (
            "attach-disk x DIR/other.iso vdb --subdriver raw",
            "attach-disk x DIR/spare.qcow2 sdb --subdriver qcow2 --targetbus scsi",
            "domblklist x",
            "attach-disk x DIR/other.iso vdb --subdriver raw",
            "domblkinfo x sdb",
            "detach-disk x sdb",
            "domblklist x",
            "detach-disk x sdb",
            # QEMU's device is gone only when the guest has agreed, or at once here.
            "detach-disk x vdb",
        )
    ),
    "checkpoints and backups": Session(
        (
            "backup-begin x",
            "domjobinfo x --completed",
            "checkpoint-create-as x c1 --diskspec vda --diskspec sda --diskspec hda,checkpoint=no --diskspec hdc,checkpoint=no",
            "checkpoint-list x",
            "checkpoint-create-as x c2 --diskspec vda --diskspec sda --diskspec hda,checkpoint=no --diskspec hdc,checkpoint=no",
            "checkpoint-list x --tree",
            "checkpoint-dumpxml x c2 --no-domain --size",
            "checkpoint-delete x c1",
            "checkpoint-list x",
            "checkpoint-delete x c2",
        )
    ),
    "inside qcow2": Session(
        (
            "detach-disk x hda",
            "snapshot-list x",
        )
    ),
    "save and restore": Session(
        (
            "resume x",
            "save x DIR/saved",
            "domstate x",
            "restore DIR/saved",
            "domstate x --reason",
            "domblklist x",
            "managedsave x",
            "domstate x",
            "start x",
            "domstate x --reason",
            "reboot x",
            "shutdown x",
        )
    ),
}
