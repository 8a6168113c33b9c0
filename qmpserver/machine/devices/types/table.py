"""All types that a machine has."""

from qmpserver.machine.cpu_models import CPU_MODELS
from qmpserver.machine.devices.device_type import DeviceType, DeviceTypes
from qmpserver.machine.devices.types.board import BOARD_TYPES
from qmpserver.machine.devices.types.further import FURTHER_TYPES
from qmpserver.machine.devices.types.other import OTHER_TYPES
from qmpserver.machine.devices.types.pci import PCI_TYPES
from qmpserver.machine.devices.types.storage import STORAGE_TYPES
from qmpserver.machine.devices.types.usb import USB_TYPES
from qmpserver.machine.devices.types.virtio import VIRTIO_TYPES
from qmpserver.qom.types import TYPES

_DEVICE = DeviceType(
    "device",
    "object",
    "parent_bus:link<bus> realized:bool hotplugged:bool hotpluggable:bool",
    is_abstract=True,
    offers=(),
    hotpluggable=True,
)
_CPU_TYPES = (
    DeviceType("cpu", "device", "start-powered-off:bool", is_abstract=True),
    DeviceType(
        "x86_64-cpu",
        "cpu",
        "apic-id:uint32=4294967295 core-id:int32=-1 die-id:int32=-1 module-id:int32=-1 node-id:int32=-1 "
        "socket-id:int32=-1 thread-id:int32=-1",
        is_abstract=True,
    ),
    *(DeviceType(model.qom_type, "x86_64-cpu", category="CPU") for model in CPU_MODELS.values()),
)
"""QEMU: also has each feature of a processor as a property; there is no processor here that could have one."""

OBJECT_TYPES = TYPES.extended(
    (
        *FURTHER_TYPES,
        _DEVICE,
        *PCI_TYPES,
        *BOARD_TYPES,
        *VIRTIO_TYPES,
        *STORAGE_TYPES,
        *USB_TYPES,
        *OTHER_TYPES,
        *_CPU_TYPES,
    )
)
"""Every type of object in a machine."""

DEVICE_TYPES = DeviceTypes(OBJECT_TYPES)
"""Every type of device."""
