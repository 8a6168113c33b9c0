"""Devices come, go and are looked at as on QEMU 11.1, and on 7.2 where that agrees."""

import asyncio
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from qmpserver.clock import SystemClock
from qmpserver.errors import QMPError
from qmpserver.machine.boards import find_board
from qmpserver.machine.config import MachineConfig
from qmpserver.machine.machine import Machine
from tests.differential.duel import Step, step
from tests.differential.machine_session import (
    EMULATOR,
    NEWEST,
    SCHEMA,
    Session,
    check_recording,
    compare,
    words,
)
from tests.peers import PATIENCE_S, need, peer_version

RECORDING = Path(__file__).parent / "recorded_devices.json"
REFUSALS = Path(__file__).parent / "recorded_device_refusals.json"
PERIPHERAL = step("qom-list", path="/machine/peripheral")


def null(name: str, **options: Any) -> dict[str, Any]:
    return {"driver": "null-co", "node-name": name, "size": 1 << 20, **options}


NODES = [null("n"), null("m"), null("o"), null("p"), null("r", **{"read-only": True})]


def add(driver: str, **properties: Any) -> Step:
    """Add a device; `__` in a property's name stands for `-`."""
    return Step(
        "device_add", {"driver": driver, **{name.replace("__", "-"): properties[name] for name in properties}}
    )


def remove(device_id: str, until: str | None = None) -> Step:
    return Step("device_del", {"id": device_id}, until)


def get(path: str, *names: str) -> list[Step]:
    return [Step("qom-get", {"path": path, "property": name}) for name in names]


def set_drive(path: str, value: Any) -> list[Step]:
    """Let a device use another node, and see which it uses."""
    return [Step("qom-set", {"path": path, "property": "drive", "value": value}), *get(path, "drive")]


def chardev(label: str) -> Step:
    return step("chardev-add", id=label, backend={"type": "null", "data": {}})


def unlimited(device: str) -> Step:
    """Take away the limits of a device's drive, as one of the commands that name a drive so."""
    return step("block_set_io_throttle", id=device, bps=0, bps_rd=0, bps_wr=0, iops=0, iops_rd=0, iops_wr=0)


BLK = "virtio-blk-pci"
BAD_PLACES: tuple[Any, ...] = (300, -2, 1 << 31, 1.5, [], True)

SESSIONS = {
    "what cannot be added": Session(
        blockdevs=NODES,
        alike_in_7_2=False,
        steps=[
            Step("device_add", {}),
            *(
                add(driver)
                for driver in ("nope", "device", "pci-device", "i440FX", "virtio-blk-device", "VGA")
            ),
            *(
                add(driver)
                for driver in ("floppy", "ide-hd", "isa-serial", "nvme-subsys", "vmcoreinfo", "scsi-hd")
            ),
            add(BLK),
            add(BLK, drive="nothing"),
            add(BLK, drive="n", id="1a"),
            add(BLK, drive="n", id=""),
            add(BLK, drive="n", nope=1),
            add(BLK, drive="n", serial=1),
            add(BLK, drive=None),
            add(BLK, drive="n", share__rw="on"),
            add(BLK, drive="n", rerror="bogus"),
            add(BLK, drive="n", num__queues=70000),
            add(BLK, drive="n", num__queues=0),
            add(BLK, drive="n", queue__size=2),
            add(BLK, drive="n", logical_block_size=513),
            add(BLK, drive="n", logical_block_size=1024),
            add(BLK, drive="n", min_io_size=1000),
            add(BLK, drive="n", cyls=5),
            *(add(BLK, drive="n", addr=addr) for addr in BAD_PLACES),
            add(BLK, drive="n", iothread="nothing"),
            add("virtio-net-pci", mac="x"),
            add("virtio-net-pci", netdev="nothing"),
            PERIPHERAL,
        ],
    ),
    "places on PCI": Session(
        blockdevs=NODES,
        steps=[
            *(
                add(BLK, drive="n", id="a", addr=addr)
                for addr in ("0x20", "zz", "4.8", "01", "0", "1.0", "1.4")
            ),
            add(BLK, drive="n", id="a", bus="pci.9"),
            add(BLK, drive="n", id="a", bus="isa.0"),
            add(BLK, drive="n", id="a", addr="4.1"),
            add(BLK, drive="m", id="b", addr="4"),
            add(BLK, drive="m", id="b", addr="4.1"),
            add(BLK, drive="m", id="b"),
            *get("a", "addr", "parent_bus"),
            *get("b", "addr", "parent_bus"),
            add(BLK, drive="o", id="b"),
            add("pci-bridge", id="br"),
            add("pci-bridge", id="br", chassis_nr=3),
            add("e1000", id="e", bus="br"),
            add("e1000", id="e", bus="br", addr="1"),
            *get("e", "parent_bus", "addr"),
            remove("br"),
            remove("br"),
            step("system_reset", "DEVICE_DELETED=br"),
            PERIPHERAL,
        ],
    ),
    "virtio disks": Session(
        blockdevs=NODES,
        alike_in_7_2=False,
        steps=[
            step("object-add", qom_type="iothread", id="io"),
            add(
                BLK, drive="n", id="a", bootindex=1, iothread="io", serial="s", werror="stop", share__rw=True
            ),
            add(BLK, drive="m", id="a"),
            add(BLK, drive="m", id="b", bootindex=1),
            add(BLK, drive="m", id="b"),
            add(BLK, drive="m", id="c"),
            add(BLK, drive="r", id="ro"),
            PERIPHERAL,
            *get(
                "a", "drive", "serial", "werror", "rerror", "bootindex", "iothread", "num-queues", "vectors"
            ),
            *get(
                "a", "type", "realized", "hotplugged", "hotpluggable", "logical_block_size", "virtio-backend"
            ),
            *get("/machine/peripheral/a/virtio-backend", "type", "drive", "parent_bus", "hotplugged"),
            *get("b", "cyls", "heads", "secs", "discard_granularity", "share-rw", "nope", "disable-legacy"),
            *(
                step("qom-list", path=f"/machine/peripheral/a{inner}")
                for inner in ("", "/virtio-bus", "/virtio-backend")
            ),
            Step("qom-set", {"path": "a", "property": "bootindex", "value": 3}),
            Step("qom-set", {"path": "a", "property": "serial", "value": "x"}),
            Step("qom-set", {"path": "a", "property": "addr", "value": "5"}),
            *get("a", "bootindex", "serial"),
            remove("a"),
            remove("a"),
            remove("/machine/peripheral/a"),
            step("system_reset", "DEVICE_DELETED=a"),
            remove("a"),
            remove("/machine/unattached/device[2]"),
            remove("/machine"),
            step("blockdev-del", node_name="n"),
            step("blockdev-del", node_name="m"),
            PERIPHERAL,
        ],
    ),
    "SCSI": Session(
        blockdevs=NODES,
        devices=["virtio-scsi,id=s", "lsi,id=l"],
        steps=[
            add("scsi-hd", drive="n", id="a", channel=1),
            add("scsi-hd", drive="n", id="a", scsi__id=256),
            add("scsi-hd", drive="n", id="a", bus="l.0", scsi__id=8),
            add("scsi-hd", drive="n", id="a", bus="l.0", lun=1),
            add("scsi-hd", drive="n", id="a", bus="s.0", lun=20000),
            add(
                "scsi-hd",
                drive="n",
                id="a",
                bus="s.0",
                lun=3,
                scsi__id=2,
                wwn=5764824127192592810,
                serial="S",
            ),
            add("scsi-hd", drive="m", id="b", bus="s.0", lun=3, scsi__id=2),
            add("scsi-hd", drive="m", id="b", bus="s.0", scsi__id=2),
            add("scsi-cd", id="cd", bus="s.0"),
            *get("a", "scsi-id", "lun", "vendor", "product", "ver", "serial", "device_id", "wwn", "drive"),
            *get("b", "scsi-id", "lun", "drive", "discard_granularity"),
            *get("cd", "scsi-id", "lun", "drive", "product", "parent_bus"),
            step("qom-list", path="/machine/peripheral/s/virtio-backend/s.0"),
            add("scsi-hd", drive="n", id="c", bus="s.0"),
            add("scsi-hd", drive="n", bus="virtio-bus"),
            remove("a", "DEVICE_DELETED=a"),
            remove("cd", "DEVICE_DELETED=cd"),
            remove("s"),
            step("system_reset", "DEVICE_DELETED=s"),
            PERIPHERAL,
        ],
    ),
    "USB": Session(
        blockdevs=NODES,
        devices=["qemu-xhci,id=u"],
        steps=[
            add("usb-storage", drive="n", id="a", port="9"),
            add("usb-storage", id="a"),
            add("usb-storage", drive="n", id="a", bus="u.0", port="1", removable=True, serial="S"),
            add("usb-tablet", id="t", port="1"),
            add("usb-tablet", id="t"),
            *get("a", "port", "drive", "attached", "serial", "removable"),
            *get("t", "port", "parent_bus"),
            *get("/machine/peripheral/a/a.0/legacy[0]", "type", "drive", "removable", "lun"),
            step("qom-list", path="/machine/peripheral/a/a.0"),
            remove("t", "DEVICE_DELETED=t"),
            remove("a", "DEVICE_DELETED=a"),
            add("usb-kbd", id="k", port="1"),
            PERIPHERAL,
        ],
    ),
    "serial ports": Session(
        devices=["virtio-serial,id=v,max_ports=4"],
        alike_in_7_2=False,
        steps=[
            chardev("c"),
            add("virtserialport", id="a", chardev="c", nr=1, name="x"),
            add("virtserialport", id="b", nr=1),
            add("virtserialport", id="b", chardev="c"),
            add("virtserialport", id="b", chardev="nothing"),
            add("virtserialport", id="b", name="x"),
            add("virtserialport", id="b", nr=4),
            add("virtserialport", id="b", nr=0),
            add("virtconsole", id="k"),
            add("virtserialport", id="b"),
            add("virtserialport", id="d"),
            add("virtserialport", id="e"),
            *get("a", "nr", "chardev", "name"),
            *get("k", "nr", "chardev"),
            *get("b", "nr"),
            step("chardev-remove", id="c"),
            remove("a", "DEVICE_DELETED=a"),
            step("chardev-remove", id="c"),
            add("virtserialport", id="z", nr=1, chardev=""),
            *get("z", "chardev"),
            PERIPHERAL,
        ],
    ),
    "NVMe": Session(
        blockdevs=NODES,
        devices=["nvme,serial=x,id=nv"],
        alike_in_7_2=False,
        steps=[
            add("nvme-ns", id="a"),
            add("nvme-ns", id="a", drive="n"),
            add("nvme-ns", id="b", drive="m", nsid=300),
            add("nvme-ns", id="b", drive="m", nsid=7),
            *get("a", "nsid", "drive"),
            *get("b", "nsid"),
            remove("a", "DEVICE_DELETED=a"),
            PERIPHERAL,
        ],
    ),
    "PCI Express": Session(
        blockdevs=NODES,
        board="q35",
        devices=[
            "pcie-root-port,id=rp,chassis=1",
            "pcie-root-port,id=cold,chassis=2,hotplug=off",
            "isa-fdc,id=fdc",
        ],
        steps=[
            add(BLK, drive="n", id="a"),
            add(BLK, drive="n", id="a", bus="cold"),
            add(BLK, drive="n", id="a", bus="rp"),
            *get("a", "parent_bus", "addr", "disable-legacy"),
            *get("/machine/peripheral/rp", "chassis", "slot", "parent_bus"),
            *get("fdc", "iobase", "irq", "bootindexA"),
            add("ide-cd"),
            add("floppy"),
            remove("rp"),
            remove("fdc"),
            PERIPHERAL,
        ],
    ),
    "what can be changed": Session(
        blockdevs=NODES,
        alike_in_7_2=False,
        devices=[
            "virtio-balloon,id=b",
            "virtio-blk,drive=n,id=a,bootindex=1",
            "virtio-scsi",
            "scsi-hd,drive=m,id=d",
        ],
        steps=[
            *get("b", "guest-stats", "guest-stats-polling-interval"),
            Step("qom-set", {"path": "b", "property": "guest-stats-polling-interval", "value": 5}),
            Step("qom-set", {"path": "b", "property": "guest-stats-polling-interval", "value": "x"}),
            *get("b", "guest-stats-polling-interval"),
            Step("qom-set", {"path": "a", "property": "bootindex", "value": "x"}),
            Step("qom-set", {"path": "d", "property": "bootindex", "value": 1}),
            Step("qom-set", {"path": "d", "property": "bootindex", "value": 2}),
            Step("qom-set", {"path": "a", "property": "bootindex", "value": -1}),
            Step("qom-set", {"path": "d", "property": "bootindex", "value": 1}),
            *get("a", "bootindex"),
            *get("d", "bootindex"),
            Step("qom-set", {"path": "d", "property": "bootindex", "value": -1}),
            Step("qom-set", {"path": "d", "property": "nope", "value": 1}),
            Step("qom-set", {"path": "d", "property": "serial", "value": "x"}),
        ],
    ),
    "another drive": Session(
        blockdevs=NODES,
        devices=["virtio-scsi,id=s"],
        steps=[
            add("virtio-blk", id="v", drive="n"),
            add("scsi-hd", id="h", drive="m"),
            *set_drive("/machine/peripheral/v/virtio-backend", "o"),
            step("blockdev-del", node_name="n"),
            *(case for name in ("r", "nope", "", "m", 3) for case in set_drive("v", name)),
            *(case for name in ("o", "p") for case in set_drive("h", name)),
            *set_drive("v", "m"),
            step("query-block"),
        ],
    ),
    "what devices work out": Session(
        blockdevs=[
            null("small"),
            null("large", size=9 << 30),
            null("floppy", size=1474560),
            null("old", size=1228800),
            *(null(name) for name in ("phys", "logic", "nvme", "nvme8", "space")),
        ],
        devices=[
            "ide-hd,id=small,drive=small,unit=1",
            "ide-hd,id=large,drive=large,bus=ide.1",
            "floppy,id=floppy,drive=floppy",
            "floppy,id=old,drive=old",
            "lsi",
            "scsi-hd,id=phys,drive=phys,physical_block_size=8192",
            "scsi-hd,id=logic,drive=logic,physical_block_size=8192,logical_block_size=8192",
            "nvme,serial=x,id=nvme,drive=nvme",
            "nvme,serial=y,id=nvme8,drive=nvme8,physical_block_size=8192,logical_block_size=8192",
            "nvme,serial=z,id=empty",
            "nvme-ns,bus=empty,id=space,drive=space,physical_block_size=8192,logical_block_size=8192",
            "virtio-serial,id=serial",
            "e1000,id=first",
            "virtio-net,id=second",
        ],
        steps=[
            *(
                value
                for name in ("small", "large")
                for value in get(
                    *(
                        name,
                        "cyls",
                        "heads",
                        "secs",
                        "bios-chs-trans",
                        "discard_granularity",
                        "serial",
                        "unit",
                    )
                )
            ),
            *(value for name in ("floppy", "old") for value in get(name, "drive-type", "unit")),
            *(
                value
                for name in ("phys", "logic", "nvme", "nvme8", "empty", "space")
                for value in get(
                    f"/machine/peripheral/{name}",
                    "discard_granularity",
                    "logical_block_size",
                    "physical_block_size",
                )
            ),
            *get("serial", "class"),
            *get("first", "mac"),
            *get("second", "mac"),
        ],
    ),
    "buses by path": Session(
        devices=["virtio-scsi,id=s", "qemu-xhci,id=u", "e1000,id=e"],
        steps=[
            *(
                add("e1000", id="a", bus=bus)
                for bus in ("", "/", "s/s.0", "nope/x", "sysbus", "main-system-bus")
            ),
            *(add("e1000", id="a", bus=f"/i440FX-pcihost{rest}") for rest in ("/nope", "/pci.0/nope")),
            *(
                add("e1000", id="a", bus=f"pci.0/{rest}")
                for rest in ("s", "s/virtio-bus", "e", "PIIX3", "piix3-ide", "piix3-ide/ide.0", "virtio-scsi")
            ),
            add("e1000", id="a", bus="/i440FX-pcihost"),
            add("e1000", id="b", bus="//i440FX-pcihost//pci.0/"),
            add("usb-tablet", id="t", bus="pci.0/qemu-xhci"),
            add("scsi-cd", id="c", bus="pci.0/s/virtio-bus/virtio-scsi-device/s.0"),
            *(value for name in ("a", "b", "t", "c") for value in get(name, "parent_bus")),
        ],
    ),
    "devices by path": Session(
        blockdevs=NODES,
        devices=["virtio-scsi,id=s", "qemu-xhci,id=u", "usb-storage,drive=n,id=k"],
        alike_in_7_2=False,
        steps=[
            *(remove(path) for path in ("", "/", "/machine", "k/k.0", "k/nope", "virtio-backend")),
            *(remove(f"{path}s/virtio-backend") for path in ("", "/machine/peripheral/")),
            *(
                remove(f"/machine/{path}")
                for path in ("i440fx", "unattached/device[1]", "unattached/device[2]")
            ),
            *get("/machine/peripheral/s/virtio-backend", "hotpluggable"),
            *(
                unlimited(path)
                for path in ("", "/", "nope", "s", "k", "k/k.0", "k/k.0/legacy[0]", "/machine//peripheral/k/")
            ),
            remove("k/k.0/legacy[0]", "DEVICE_DELETED"),
            step("qom-list", path="/machine/peripheral/k/k.0"),
            step("blockdev-del", node_name="n"),
            remove("k", "DEVICE_DELETED=k"),
            PERIPHERAL,
        ],
    ),
    "what is on PCI": Session(
        blockdevs=NODES,
        devices=[
            "pci-bridge,id=br,chassis_nr=1",
            "virtio-balloon,bus=br",
            "virtio-blk,drive=n,id=a",
            "virtio-blk,drive=m,disable-legacy=on",
            "lsi,addr=7,multifunction=on",
            "e1000,addr=7.1,id=e",
        ],
        steps=[step("query-pci")],
    ),
    "what is on PCI Express": Session(
        blockdevs=NODES,
        board="q35",
        devices=[
            "pcie-root-port,id=rp,chassis=1",
            "virtio-blk,drive=n,bus=rp",
            "nvme,serial=x",
            "pvpanic-pci",
        ],
        steps=[step("query-pci")],
    ),
    "names of types": Session(
        steps=[
            *(
                step("device-list-properties", typename=name)
                for name in ("nope", "iothread", "device", "virtio-blk")
            ),
            *(step("qom-list-properties", typename=name) for name in ("virtio-blk", "user-creatable")),
            step("qom-list", path="/machine/peripheral-anon"),
            *get("/machine/unattached/device[0]", "type", "realized", "hotplugged"),
            *get("/machine/i440fx", "type", "pci.0"),
            *get("/machine/i440fx/pci.0", "type"),
            *get("/machine/unattached/device[3]/ide", "type", "addr"),
        ],
    ),
}


@pytest.fixture(scope="module")
def no_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.mark.parametrize("name", SESSIONS)
def test_devices_are_as_recorded_on_qemu(name: str, no_images: Path, tmp_path: Path) -> None:
    compare(RECORDING, name, SESSIONS[name], no_images, tmp_path)


@pytest.mark.parametrize("name", SESSIONS)
def test_the_recording_is_qemus(name: str, no_images: Path, tmp_path: Path) -> None:
    check_recording(RECORDING, name, SESSIONS[name], no_images, tmp_path)


COMMAND_LINES = (
    ("pc", "ide-hd"),
    ("pc", "ide-hd,drive=n,unit=2"),
    ("pc", "ide-hd,drive=n", "ide-hd,drive=m", "ide-hd,drive=o"),
    ("pc", "ide-hd,drive=n,bus=ide.0", "ide-hd,drive=m,bus=ide.0,unit=0"),
    ("pc", "floppy,unit=2"),
    ("pc", "floppy,unit=0", "floppy,unit=0"),
    ("pc", "floppy", "floppy", "floppy"),
    ("pc", "virtio-blk,drive=n,addr=3.0", "virtio-blk,drive=m,addr=3.1"),
    ("pc", "virtio-blk,drive=n,addr=3.1", "virtio-blk,drive=m,addr=3.0"),
    ("pc", "virtio-blk,drive=n,logical_block_size=x"),
    ("pc", "virtio-blk,drive=n,share-rw=maybe"),
    ("pc", "virtio-blk,drive=n,bootindex=1", "virtio-blk,drive=m,bootindex=1"),
    ("pc", "vmcoreinfo", "vmcoreinfo"),
    ("pc", "virtio-balloon", "virtio-balloon"),
    ("pc", "pci-bridge"),
    ("pc", "piix3-usb-uhci,id=u", "usb-hub,port=1", "usb-tablet,port=1.1", "usb-tablet,port=1.9"),
    ("pc", "nvme"),
    ("pc", "ide-hd,drive=r"),
    ("pc", "ide-cd,drive=r,unit=0", "ide-cd,drive=r,unit=0"),
    ("pc", "lsi", "scsi-generic,drive=n"),
    ("pc", "virtio-blk,drive=n", "ide-hd,drive=n"),
    ("pc", "scsi-hd,drive=n"),
    ("pc", "usb-tablet"),
    ("pc", "virtserialport"),
    ("pc", "isa-serial,chardev=zz"),
    ("pc", "e1000,netdev=x"),
    ("pc", "e1000,mac=x"),
    ("pc", "pxb-pcie"),
    ("pc", "nope"),
    ("q35", "ide-hd,drive=n", "ide-hd,drive=m"),
    ("q35", "ide-hd,drive=n,bus=ide.0,unit=1"),
    ("q35", "floppy"),
    ("q35", "pcie-root-port,slot=1", "pcie-root-port,slot=1"),
    ("q35", "intel-iommu", "intel-iommu"),
    ("q35", "qemu-xhci", "usb-tablet,port=5"),
    ("q35", "pxb"),
    ("q35", *["isa-serial"] * 5),
    ("q35", "usb-ehci", "usb-tablet,port=7"),
    ("q35", "pci-ohci", "usb-tablet,port=4"),
    ("q35", "megasas", "scsi-hd,drive=n,lun=256"),
    ("q35", "mptsas1068", "scsi-hd,drive=n,lun=5"),
    ("q35", "pvscsi", "scsi-hd,drive=n,scsi-id=200"),
    ("q35", "dc390", "scsi-hd,drive=n,lun=500"),
    ("q35", "qemu-xhci", "usb-bot,id=b", "scsi-hd,drive=n,scsi-id=1"),
    ("q35", "virtio-scsi,id=a", "scsi-hd,drive=n,bus=a"),
)
"""Command lines that QEMU refuses, each for its last device."""


def qemus_refusal(board: str, devices: tuple[str, ...]) -> str:
    nodes = [word for node in NODES for word in ("-blockdev", json.dumps(node))]
    given = [word for device in devices for word in ("-device", device)]
    fixed = f"-machine {board} -accel tcg -display none -nodefaults -S".split()
    told = subprocess.run(
        [need(EMULATOR), *fixed, *nodes, *given],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    ).stderr
    # A hint may follow on further lines.
    return told.rpartition(f"-device {devices[-1]}: ")[2].partition("\n")[0]


async def our_refusal(board: str, devices: tuple[str, ...]) -> str:
    found = find_board(board)
    assert found is not None
    machine = Machine(SCHEMA, SystemClock(), MachineConfig(board=found))
    for options in NODES:
        await machine.blockdev_add(options)
    try:
        for device in devices[:-1]:
            await machine.devices.add(words(device), is_text=True, at_start=True)
        with pytest.raises(QMPError) as caught:
            await machine.devices.add(words(devices[-1]), is_text=True, at_start=True)
    finally:
        await machine.close()
    return str(caught.value)


@pytest.mark.parametrize("line", COMMAND_LINES, ids=" ".join)
def test_a_command_line_is_refused_as_by_qemu(line: tuple[str, ...]) -> None:
    recorded = json.loads(REFUSALS.read_text()) if REFUSALS.exists() else {}
    if os.environ.get("QMPSERVER_RECORD") == "1":
        assert peer_version(EMULATOR)[0] == NEWEST
        recorded[" ".join(line)] = qemus_refusal(line[0], line[1:])
        REFUSALS.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
    assert asyncio.run(our_refusal(line[0], line[1:])) == recorded[" ".join(line)]


def test_the_recorded_refusals_are_qemus() -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        told = list(pool.map(lambda line: qemus_refusal(line[0], line[1:]), COMMAND_LINES))
    recorded = json.loads(REFUSALS.read_text())
    assert dict(zip(map(" ".join, COMMAND_LINES), told, strict=True)) == recorded
