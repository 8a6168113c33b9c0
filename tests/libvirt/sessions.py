"""List what virsh is asked of a running domain; `DIR` stands for the folder of its disks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

RESTART = "(libvirtd is ended and started again)"
WAIT = "(the job comes to its end)"
LISTEN = "(events are listened to)"
TOLD = "(events were told) "
GONE = "(the disk is gone) "
RUN = "(run) "
"""What a line is that is no command of virsh's: a word of ours, or a program to be run."""


@dataclass(frozen=True, slots=True)
class Session:
    """A domain's life: what is asked of it between its start and its end.

    Attributes:
        lines: The commands, without `virsh`.
        disks: Which image holds in the end what which disk held at first.
        machine: Its board.
        has_raw: It has a raw disk and a disc beside the two that are qcow2.
        more_xml: Further elements among its devices.
        is_encrypted: There is an encrypted image beside them.
        unplug_delay_ms: How long a PCI device of ours takes to go; on QEMU a guest has to agree, which is not there.
        files: What lies beside its disks, by name.
    """

    lines: tuple[str, ...]
    disks: tuple[tuple[str, str], ...] = ()
    machine: str = "pc-i440fx-7.2"
    has_raw: bool = True
    more_xml: str = ""
    is_encrypted: bool = False
    unplug_delay_ms: int = 0
    files: Mapping[str, str] = field(default_factory=dict)


_SNAPSHOT = "--disk-only --no-metadata --diskspec hda,snapshot=no --diskspec hdc,snapshot=no"
_Q35_SNAPSHOT = _SNAPSHOT.replace("hda", "sdx").replace("hdc", "sdy")

_PUSH = """\
<domainbackup mode='push'>{increment}<disks>
  <disk name='vda' type='file'><driver type='qcow2'/><target file='DIR/{name}-a.qcow2'/></disk>
  <disk name='sda' type='file'><driver type='qcow2'/><target file='DIR/{name}-s.qcow2'/></disk>
  <disk name='hda' backup='no'/>
</disks></domainbackup>
"""

_PULL = """\
<domainbackup mode='pull'>{increment}<server transport='unix' socket='DIR/nbd.sock'/><disks>
  <disk name='vda' type='file'><scratch file='DIR/scratch-a.qcow2'/></disk>
  <disk name='sda' type='file'><scratch file='DIR/scratch-s.qcow2'/></disk>
  <disk name='hda' backup='no'/>
</disks></domainbackup>
"""

_CHECKPOINT = """\
<domaincheckpoint><name>{name}</name><disks>
  <disk name='vda' checkpoint='bitmap'/><disk name='sda' checkpoint='bitmap'/>
  <disk name='hda' checkpoint='no'/><disk name='hdc' checkpoint='no'/>
</disks></domaincheckpoint>
"""

_SECRET = """\
<secret ephemeral='no' private='yes'><uuid>22222222-3333-4444-5555-666666666666</uuid>
  <usage type='volume'><volume>/luks</volume></usage>
</secret>
"""

_ENCRYPTED = """\
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
  <source file='DIR/luks.qcow2'>
    <encryption format='luks'><secret type='passphrase' uuid='22222222-3333-4444-5555-666666666666'/></encryption>
  </source>
  <target dev='sdb' bus='scsi'/>
</disk>
"""

_EACH_BUS = """\
<controller type='usb' model='qemu-xhci'/>
<disk type='file' device='floppy'><driver name='qemu' type='raw'/>
  <source file='DIR/other.iso'/><target dev='fda' bus='fdc'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none' io='native' discard='unmap'/>
  <source file='DIR/spare.qcow2'/><target dev='sdu' bus='usb'/><serial>123</serial></disk>
<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='writethrough' copy_on_read='on' error_policy='stop'/>
  <source file='DIR/spare2.qcow2'/><target dev='sdv' bus='scsi'/><wwn>5000c50015ea71aa</wwn><vendor>ACME</vendor>
  <iotune><total_bytes_sec>1000000</total_bytes_sec></iotune></disk>
"""


def _write(qdev: str, command: str) -> str:
    """Have a drive written to, as no guest is there to do it."""
    return f"qemu-monitor-command x --hmp 'qemu-io -d {qdev} \"{command}\"'"


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
            "domblkinfo x --all",
            "set-user-password x root secret",
            "domfsfreeze x",
            "domfsinfo x",
            "guestinfo x",
            "domtime x",
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
            "blockpull x vda 100000 --bytes --base DIR/base.qcow2",
            "blockjob x vda --info",
            "blockjob x vda 200000 --bytes",
            "blockjob x vda --info",
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
            WAIT,
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
            "snapshot-create-as x s1",
            "snapshot-list x",
            "snapshot-create-as x s2",
            "snapshot-list x --tree",
            "resume x",
            "snapshot-revert x s1",
            "domstate x --reason",
            "snapshot-delete x s1",
            "snapshot-list x",
            "snapshot-delete x s2",
        ),
        (("a.qcow2", "a.qcow2"), ("s.qcow2", "s.qcow2")),
        has_raw=False,
    ),
    "pushed backups": Session(
        (
            "backup-begin x DIR/full.xml DIR/c1.xml",
            WAIT,
            "checkpoint-list x",
            "qemu-monitor-command x --hmp 'qemu-io -d scsi0-0-0-0 \"write -P 0x55 4M 64k\"'",
            "backup-begin x DIR/next.xml DIR/c2.xml",
            WAIT,
            "checkpoint-list x --tree",
            RUN + "qemu-img map --output=json -f qcow2 DIR/next-s.qcow2",
            "checkpoint-delete x c1",
            "checkpoint-list x",
        ),
        (("full-a.qcow2", "a.qcow2"), ("full-s.qcow2", "s.qcow2")),
        files={
            "full.xml": _PUSH.format(increment="", name="full"),
            "next.xml": _PUSH.format(increment="<incremental>c1</incremental>", name="next"),
            "c1.xml": _CHECKPOINT.format(name="c1"),
            "c2.xml": _CHECKPOINT.format(name="c2"),
        },
    ),
    "pulled backups": Session(
        (
            "backup-begin x DIR/pull.xml DIR/c1.xml",
            "domjobinfo x",
            "backup-dumpxml x",
            RUN + "nbdinfo --list --json nbd+unix://?socket=DIR/nbd.sock",
            RUN + "nbdcopy nbd+unix:///vda?socket=DIR/nbd.sock DIR/pulled-a.raw",
            RUN + "nbdcopy nbd+unix:///sda?socket=DIR/nbd.sock DIR/pulled-s.raw",
            "domjobabort x",
            "domblklist x",
            "backup-begin x DIR/pull-next.xml",
            RUN + "nbdinfo --map=qemu:dirty-bitmap:backup-sda nbd+unix:///sda?socket=DIR/nbd.sock",
            "domjobabort x",
        ),
        (("pulled-a.raw", "a.qcow2"), ("pulled-s.raw", "s.qcow2")),
        files={
            "pull.xml": _PULL.format(increment=""),
            "pull-next.xml": _PULL.format(increment="<incremental>c1</incremental>"),
            "c1.xml": _CHECKPOINT.format(name="c1"),
        },
    ),
    "libvirtd comes back": Session(
        (
            f"snapshot-create-as x {_SNAPSHOT} --diskspec sda,snapshot=no --diskspec vda,file=DIR/a1.qcow2",
            "blockpull x vda 100000 --bytes",
            RESTART,
            "domstate x --reason",
            "blockjob x vda --info",
            "blockjob x vda --abort",
            "domblklist x",
            "blockpull x vda --wait",
            "resume x",
            RESTART,
            "domstate x --reason",
            "domblkinfo x vda",
        ),
        (("a1.qcow2", "a.qcow2"),),
    ),
    "q35": Session(
        (
            "domblklist x --details",
            "resume x",
            "blkdeviotune x sdx --total-iops-sec 100",
            "blkdeviotune x sdx",
            "change-media x sdy DIR/other.iso --update",
            "change-media x sdy --eject",
            "domstats x --block",
            f"snapshot-create-as x {_Q35_SNAPSHOT} --diskspec sda,file=DIR/s1.qcow2 --diskspec vda,file=DIR/a1.qcow2",
            "blockcommit x vda --active --wait --pivot",
            "attach-disk x DIR/spare.qcow2 vdc --subdriver qcow2",
            "domblklist x",
        ),
        (("a.qcow2", "a.qcow2"),),
        machine="pc-q35-7.2",
        more_xml="<controller type='pci' model='pcie-root-port'/>" * 2,
    ),
    "encrypted": Session(
        (
            "detach-disk x sda",
            "secret-define DIR/secret.xml",
            "secret-set-value 22222222-3333-4444-5555-666666666666 MTIzNDU2",
            "attach-device x DIR/encrypted.xml",
            "domblklist x",
            "domblkinfo x sdb",
            "qemu-monitor-command x --hmp 'qemu-io -d scsi0-0-0-1 \"read -P 0x66 0 64k\"'",
            "detach-disk x sdb",
            "secret-undefine 22222222-3333-4444-5555-666666666666",
        ),
        is_encrypted=True,
        files={"secret.xml": _SECRET, "encrypted.xml": _ENCRYPTED},
    ),
    "a disk for each bus": Session(
        (
            "domblklist x --details",
            "domblkinfo x fda",
            "domblkinfo x sdu",
            "domblkstat x sdv",
            "iothreadinfo x",
            "qemu-monitor-command x --hmp info block",
        ),
        more_xml=_EACH_BUS,
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
            "dominfo x",
            "start x",
            "domstate x --reason",
            "managedsave x",
            "managedsave-remove x",
            "start x --paused",
            "domstate x --reason",
            "reboot x",
            "shutdown x",
        )
    ),
    "images that are there already": Session(
        (
            RUN + "qemu-img create -q -f qcow2 -F qcow2 -b DIR/a.qcow2 DIR/a1.qcow2",
            f"snapshot-create-as x {_SNAPSHOT} --reuse-external --diskspec sda,snapshot=no --diskspec vda,file=DIR/a1.qcow2",
            "domblklist x",
            f"snapshot-create-as x {_SNAPSHOT} --reuse-external --diskspec sda,snapshot=no --diskspec vda,file=DIR/a2.qcow2",
            RUN + "qemu-img create -q -f qcow2 DIR/copy.qcow2 16M",
            "blockcopy x vda DIR/copy.qcow2 --reuse-external --format qcow2 --wait --pivot --transient-job",
            "blockcopy x vda DIR/none.qcow2 --reuse-external --format qcow2 --wait --transient-job",
            "blockcopy x sda DIR/block.raw --blockdev --format raw --wait --transient-job",
            RUN + "qemu-img create -q -f raw DIR/small.raw 4M",
            "blockcopy x sda DIR/small.raw --reuse-external --format raw --wait --pivot --transient-job",
            "domblklist x",
        ),
        (("copy.qcow2", "a.qcow2"),),
    ),
    "events": Session(
        (
            LISTEN,
            "resume x",
            "suspend x",
            "domblkthreshold x vda 1M",
            _write("/machine/peripheral/virtio-disk0/virtio-backend", "write -q 8M 64k"),
            "change-media x hdc --eject",
            "change-media x hdc DIR/other.iso --insert",
            "attach-disk x DIR/spare.qcow2 sdb --subdriver qcow2 --targetbus scsi",
            "detach-disk x sdb",
            "blkdeviotune x vda --total-iops-sec 100",
            f"snapshot-create-as x {_SNAPSHOT} --diskspec vda,snapshot=no --diskspec sda,file=DIR/s1.qcow2",
            "blockcommit x sda --active --wait --pivot",
            "reset x",
            TOLD + "12",
        )
    ),
    "a guest that does not agree": Session(
        (
            "attach-disk x DIR/spare.qcow2 vdb --subdriver qcow2",
            "detach-disk x vdb",
            "domblklist x",
            "detach-disk x vdb",
            "reset x",
            GONE + "vdb",
            "domblklist x",
        ),
        unplug_delay_ms=3600_000,
    ),
}
