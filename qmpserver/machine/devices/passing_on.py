"""See that a device that passes SCSI commands on leads to one of the host that takes them.

Source: ``<scsi/sg.h>`` of Linux; SPC-4, "INQUIRY command".
"""

import struct
from typing import Final

from qmpserver.errors import QMPError, error_text
from qmpserver.jobs.error_policy import OnError
from qmpserver.machine.devices.device import Device
from qmpserver.machine.media.drive import Drive
from qmpserver.machine.media.scsi_command import send_command

_SG_GET_VERSION_NUM: Final = 0x2282
_SG_GET_SCSI_ID: Final = 0x2276
_SCSI_ID_SIZE: Final = 32
_OLDEST: Final = 30000

_INQUIRY: Final = 0x12
_INQUIRY_LENGTH: Final = 36
_REMOVABLE: Final = 0x80
_WORM: Final = 4
_ROM: Final = 5


async def examine(device: Device, drive: Drive) -> None:
    """Look at the device of the host, and take over what it is.

    Raises:
        QMPError: It takes no SCSI commands, or the drive has options that mean nothing here; the texts are QEMU's.
    """
    if device.type.name == "scsi-generic":
        _refuse_policy(drive)
        await _check_version(drive)
        await _check_scsi_id(drive)
    elif device.type.name == "scsi-block":
        await _check_version(drive)
        device.passes_to_removable = await _is_removable(drive)


def _refuse_policy(drive: Drive) -> None:
    """Refuse to decide about errors that the guest is told of as they are."""
    if drive.policy.werror is not OnError.ENOSPC:
        raise QMPError("Device doesn't support drive option werror")
    if drive.policy.rerror is not OnError.REPORT:
        raise QMPError("Device doesn't support drive option rerror")


async def _check_version(drive: Drive) -> None:
    number = bytearray(4)
    try:
        await drive.requests.ioctl(_SG_GET_VERSION_NUM, number)
    except OSError as error:
        raise QMPError(f"cannot get SG_IO version number: {error_text(error)}") from error
    (version,) = struct.unpack("@i", number)
    if version < _OLDEST:
        raise QMPError("scsi generic interface too old")


async def _check_scsi_id(drive: Drive) -> None:
    try:
        await drive.requests.ioctl(_SG_GET_SCSI_ID, bytearray(_SCSI_ID_SIZE))
    except OSError as error:
        raise QMPError("SG_GET_SCSI_ID ioctl failed") from error


async def _is_removable(drive: Drive) -> bool:
    command = struct.pack(">BBBHB", _INQUIRY, 0, 0, _INQUIRY_LENGTH, 0)
    try:
        outcome = await send_command(drive.requests, command, length_in=_INQUIRY_LENGTH)
    except OSError as error:
        raise QMPError("INQUIRY failed") from error
    if not outcome.is_good or len(outcome.data) < 2:
        raise QMPError("INQUIRY failed")
    return outcome.data[0] in (_WORM, _ROM) or bool(outcome.data[1] & _REMOVABLE)
