"""Every command and event of QEMU's system emulator is offered here, or is absent for a reason.

A command that asks is offered where the answer, or QEMU's refusal, is true of a machine without a guest.  One that
acts is offered where it has its effect.  Clients call what is listed, so that nothing is listed that only fails.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from qmpserver.schema.loader import load

SYSTEM = json.loads((Path(__file__).parent / "recorded_system_introspection.json").read_text())
OFFERED = load(with_machine=True)

ABSENT_COMMANDS: Mapping[str, str] = {
    "there is no guest memory": (
        "calc-dirty-rate cancel-vcpu-dirty-limit dump-guest-memory memsave pmemsave query-dirty-rate "
        "query-dump-guest-memory-capability query-hv-balloon-status-report query-vcpu-dirty-limit set-vcpu-dirty-limit "
        "sev-inject-launch-secret x-query-ramblock x-query-roms"
    ),
    "memory is not sent, so it cannot follow later": "migrate-pause migrate-recover migrate-start-postcopy",
    "there is no processor": (
        "query-cpu-model-baseline query-cpu-model-comparison x-accel-stats x-query-interrupt-controllers x-query-irq "
        "x-query-jit x-query-numa"
    ),
    "nothing is recorded or replayed": "replay-break replay-delete-break replay-seek",
    "nothing is shown, and nobody types": (
        "add_client change-vnc-password client_migrate_info display-reload display-update expire_password "
        "input-send-event query-spice screendump send-key set_password"
    ),
    "network backends carry nothing": (
        "announce-self query-rocker query-rocker-of-dpa-flows query-rocker-of-dpa-groups query-rocker-ports "
        "request-ebpf set_link"
    ),
    "no such device is emulated": (
        "cxl-add-dynamic-capacity cxl-inject-correctable-error cxl-inject-dram-event "
        "cxl-inject-general-media-event cxl-inject-memory-module-event cxl-inject-poison "
        "cxl-inject-uncorrectable-errors cxl-release-dynamic-capacity device-sync-config query-cryptodev "
        "query-pr-managers x-query-usb x-query-virtio x-query-virtio-queue-element x-query-virtio-queue-status "
        "x-query-virtio-status x-query-virtio-vhost-queue-status"
    ),
    "no firmware runs": "inject-ghes-v2-error query-firmware-log",
    "it is of other processors": "dump-skeys dumpdtb query-s390x-cpu-polarization set-cpu-topology",
    "it is of Xen or COLO": (
        "query-colo-status query-xen-replication-status x-colo-lost-heartbeat xen-colo-do-checkpoint "
        "xen-event-inject xen-event-list xen-load-devices-state xen-save-devices-state xen-set-global-dirty-log "
        "xen-set-replication"
    ),
    "a machine is made at once": "set-numa-node x-exit-preconfig",
}

ABSENT_EVENTS: Mapping[str, str] = {
    "a guest would say it": (
        "ACPI_DEVICE_OST BALLOON_CHANGE DEVICE_UNPLUG_GUEST_ERROR GUEST_CRASHLOADED GUEST_PANICKED GUEST_PVSHUTDOWN "
        "HV_BALLOON_STATUS_REPORT MEMORY_DEVICE_SIZE_CHANGE NIC_RX_FILTER_CHANGED RTC_CHANGE SUSPEND SUSPEND_DISK "
        "VSERPORT_CHANGE WATCHDOG"
    ),
    "there is no guest memory": "DUMP_COMPLETED MEMORY_FAILURE MIGRATION_PASS",
    "nothing is shown": (
        "SPICE_CONNECTED SPICE_DISCONNECTED SPICE_INITIALIZED SPICE_MIGRATE_COMPLETED VNC_CONNECTED VNC_DISCONNECTED "
        "VNC_INITIALIZED"
    ),
    "network backends carry nothing": (
        "FAILOVER_NEGOTIATED NETDEV_STREAM_CONNECTED NETDEV_STREAM_DISCONNECTED NETDEV_VHOST_USER_CONNECTED "
        "NETDEV_VHOST_USER_DISCONNECTED UNPLUG_PRIMARY"
    ),
    "no such device is emulated": "PR_MANAGER_STATUS_CHANGED VFIO_MIGRATION VFU_CLIENT_HANGUP",
    "it is of other processors": "CPU_POLARIZATION_CHANGE SCLP_CPI_INFO_AVAILABLE",
    "it is of COLO": "COLO_EXIT",
}


def names(absent: Mapping[str, str]) -> list[str]:
    return [name for listed in absent.values() for name in listed.split()]


def recorded(kind: str) -> set[str]:
    return {entity["name"] for entity in SYSTEM if entity["meta-type"] == kind}


@pytest.mark.parametrize(
    ("kind", "offered", "absent"),
    [
        ("command", OFFERED.commands.keys(), names(ABSENT_COMMANDS)),
        ("event", OFFERED.events.keys(), names(ABSENT_EVENTS)),
    ],
)
def test_what_qemu_has_is_offered_or_absent_for_one_reason(
    kind: str, offered: set[str], absent: list[str]
) -> None:
    assert sorted(absent) == sorted(recorded(kind) - offered)
