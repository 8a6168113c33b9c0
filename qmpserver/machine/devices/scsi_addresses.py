"""Give SCSI devices their target and unit."""

from dataclasses import dataclass

from qmpserver.errors import QMPError
from qmpserver.machine.devices.device import Bus, Device
from qmpserver.machine.devices.properties import UNSET


@dataclass(frozen=True, slots=True)
class _Reach:
    """The greatest numbers that a controller knows."""

    target: int
    lun: int


_REACHES = {
    "virtio-scsi-common": _Reach(255, 16383),
    "lsi53c895a": _Reach(7, 0),
    "megasas-base": _Reach(128, 255),
    "mptsas1068": _Reach(8, 1),
    "am53c974": _Reach(7, 7),
    "pvscsi": _Reach(64, 0),
    "usb-storage-dev": _Reach(0, 15),
    "usb-uas": _Reach(0, 255),
}


def place_on_scsi(bus: Bus, device: Device) -> None:
    """Take the address that a device asks for; what it leaves open is the first that is free.

    Raises:
        QMPError: It is taken, or its controller has none such.
    """
    reach = _reach_of(bus)
    channel, target, lun = (device.values[name] for name in ("channel", "scsi-id", "lun"))
    if channel:
        raise QMPError(f"bad scsi channel id: {channel}")
    if target != UNSET and target > reach.target:
        raise QMPError(f"bad scsi device id: {target}")
    if lun != UNSET and lun > reach.lun:
        raise QMPError(f"bad scsi device lun: {lun}")
    used = {(other.values["scsi-id"], other.values["lun"]): other for other in bus.devices}
    if target == UNSET:
        lun = 0 if lun == UNSET else lun
        target = next((number for number in range(reach.target + 1) if (number, lun) not in used), None)
        if target is None:
            raise QMPError("no free target")
    elif lun == UNSET:
        lun = next((number for number in range(reach.lun + 1) if (target, number) not in used), None)
        if lun is None:
            raise QMPError("no free lun")
    elif (target, lun) in used:
        raise QMPError(f"lun already used by '{used[target, lun].device_id or '(null)'}'")
    device.values["scsi-id"], device.values["lun"] = target, lun


def _reach_of(bus: Bus) -> _Reach:
    assert bus.parent is not None
    return next(reach for type_name, reach in _REACHES.items() if bus.parent.is_a(type_name))
