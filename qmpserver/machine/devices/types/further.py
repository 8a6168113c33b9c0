"""Types that are no devices: buses, boards, accelerators, memory and sources of random numbers."""

from collections.abc import Iterator

from qmpserver.machine.boards import BOARDS
from qmpserver.machine.devices.properties import parse_properties
from qmpserver.qom.types import ObjectType, Property

_BUSES = {
    **dict.fromkeys(("System", "PCI", "SCSI", "IDE", "ISA", "usb-bus", "floppy-bus", "nvme-bus"), "bus"),
    **dict.fromkeys(("virtio-bus", "virtio-serial-bus", "HDA", "i2c-bus"), "bus"),
    "PCIE": "PCI",
    **dict.fromkeys(("virtio-pci-bus", "virtio-mmio-bus"), "virtio-bus"),
}
"""What each kind of bus is a kind of."""

_BUS = parse_properties("realized:bool hotplug-handler:link<hotplug-handler>")
_MACHINE = parse_properties(
    "append:string aux-ram-share:bool boot:BootConfiguration confidential-guest-support:link<confidential-guest-support> "
    "dt-compatible:string dtb:string dump-guest-core:bool dumpdtb:string firmware:string graphics:bool initrd:string "
    "kernel:string mem-merge:bool memory-backend:link<memory-backend> memory-encryption:string "
    "memory:MemorySizeConfiguration phandle-start:int shim:string smp-cache:SmpCachePropertiesWrapper "
    "smp:SMPConfiguration suppress-vmdesc:bool usb:bool x-change-vmfd-on-reset:bool"
)
_X86_MACHINE = parse_properties(
    "acpi:OnOffAuto bus-lock-ratelimit:uint64_t pic:OnOffAuto pit:OnOffAuto sgx-epc:SgxEPC smm:OnOffAuto x-oem-id:string "
    "x-oem-table-id:string"
)
_PC_MACHINE = parse_properties(
    "default-bus-bypass-iommu:bool fd-bootchk:bool hpet:bool i8042:bool max-fw-size:size max-ram-below-4g:size "
    "sata:bool smbios-entry-point-type:str smbus:bool vmport:OnOffAuto"
)
_ANY_PC = "hmat:bool nvdimm-persistence:string nvdimm:bool pcspk-audiodev:str spcr:bool"
_WITH_PCI = "cxl-fmw:CXLFixedMemoryWindow cxl:bool pflash0:str pflash1:str"
_BOARDS = {
    "none": "spcr:bool",
    "microvm": (
        "auto-kernel-cmdline:bool hmat:bool ioapic2:OnOffAuto isa-serial:bool pcie:OnOffAuto rtc:OnOffAuto "
        "spcr:bool x-option-roms:bool"
    ),
    "isapc": _ANY_PC,
    "pc": f"{_ANY_PC} {_WITH_PCI} x-south-bridge:PCSouthBridgeOption",
    "q35": f"{_ANY_PC} {_WITH_PCI} wdat:bool",
}
"""What the boards of a family have beyond those of their parents."""

_MEMORY = parse_properties(
    "dump:bool host-nodes:int merge:bool policy:HostMemPolicy prealloc:bool prealloc-context:link<thread-context> "
    "prealloc-threads:int reserve:bool share:bool size:int x-use-canonical-path-for-ramblock-id:bool"
)
_MEMORY_FILE = parse_properties(
    "align:int discard-data:bool mem-path:string offset:int pmem:bool readonly:bool rom:OnOffAuto"
)
_MEMORY_MEMFD = parse_properties("hugetlb:bool hugetlbsize:int seal:bool")
_TCG = parse_properties("one-insn-per-tb:bool split-wx:bool tb-size:int thread:string")
_BOARD_PARENTS = {"none": "machine", "microvm": "x86-machine"}


def _own_of_bus(name: str) -> tuple[Property, ...]:
    # QEMU: those for virtio have them each, and not from what they are a kind of.
    has_them = _BUSES[name] == "virtio-bus" or (_BUSES[name] == "bus" and name != "virtio-bus")
    return _BUS if has_them else ()


def _boards() -> Iterator[ObjectType]:
    yield ObjectType("machine", "object", is_abstract=True, own=_MACHINE)
    yield ObjectType("x86-machine", "machine", is_abstract=True, own=_X86_MACHINE)
    yield ObjectType("generic-pc-machine", "x86-machine", is_abstract=True, own=_PC_MACHINE)
    for board in BOARDS.values():
        parent = _BOARD_PARENTS.get(board.family, "generic-pc-machine")
        yield ObjectType(f"{board.name}-machine", parent, own=parse_properties(_BOARDS[board.family]))


FURTHER_TYPES = (
    ObjectType("bus", "object", is_abstract=True),
    *(ObjectType(name, parent, own=_own_of_bus(name)) for name, parent in _BUSES.items()),
    *_boards(),
    ObjectType("accel", "object", is_abstract=True),
    ObjectType("tcg-accel", "accel", own=_TCG),
    ObjectType("kvm-accel", "accel"),
    ObjectType(
        "monitor-hmp",
        "monitor",
        is_creatable=True,
        own=(Property("chardev", "string"), Property("readline", "bool")),
    ),
    ObjectType("memory-backend", "object", is_abstract=True, own=_MEMORY),
    ObjectType("memory-backend-file", "memory-backend", is_creatable=True, own=_MEMORY_FILE),
    ObjectType("memory-backend-memfd", "memory-backend", is_creatable=True, own=_MEMORY_MEMFD),
    ObjectType("memory-backend-ram", "memory-backend", is_creatable=True),
    ObjectType("memory-backend-shm", "memory-backend", is_creatable=True),
    ObjectType("rng-backend", "object", is_abstract=True, own=(Property("opened", "bool"),)),
    ObjectType("rng-builtin", "rng-backend", is_creatable=True),
    ObjectType("rng-random", "rng-backend", is_creatable=True, own=(Property("filename", "string"),)),
)
