"""Hand SCSI commands on to the device of the host that a drive's medium is; what a guest does on `scsi-generic`.

Source: ``sg_io_hdr_t`` of Linux's <scsi/sg.h>, version 3 of its interface.
"""

import ctypes
import enum
import errno
import os
from dataclasses import dataclass
from typing import Final

from qmpserver.machine.media.requests import DriveRequests

SG_IO: Final = 0x2285
DEFAULT_TIMEOUT_MS: Final = 30_000
GOOD: Final = 0

_SENSE_LENGTH: Final = 252
_MOST_BYTES: Final = 255


class _Direction(enum.IntEnum):
    NONE = -1
    TO_DEVICE = -2
    FROM_DEVICE = -3


class SgIoHeader(ctypes.Structure):
    """What SG_IO takes: a command, and where its data and its answer go."""

    _fields_ = (
        ("interface_id", ctypes.c_int),
        ("dxfer_direction", ctypes.c_int),
        ("cmd_len", ctypes.c_ubyte),
        ("mx_sb_len", ctypes.c_ubyte),
        ("iovec_count", ctypes.c_ushort),
        ("dxfer_len", ctypes.c_uint),
        ("dxferp", ctypes.c_void_p),
        ("cmdp", ctypes.c_void_p),
        ("sbp", ctypes.c_void_p),
        ("timeout", ctypes.c_uint),
        ("flags", ctypes.c_uint),
        ("pack_id", ctypes.c_int),
        ("usr_ptr", ctypes.c_void_p),
        ("status", ctypes.c_ubyte),
        ("masked_status", ctypes.c_ubyte),
        ("msg_status", ctypes.c_ubyte),
        ("sb_len_wr", ctypes.c_ubyte),
        ("host_status", ctypes.c_ushort),
        ("driver_status", ctypes.c_ushort),
        ("resid", ctypes.c_int),
        ("duration", ctypes.c_uint),
        ("info", ctypes.c_uint),
    )


@dataclass(frozen=True, slots=True)
class ScsiOutcome:
    """How a command ended.

    Attributes:
        status: The SCSI status; 0 is good, 2 has something to say in `sense`.
        host_status: What the host's adapter says; 0 is good.
        sense: The sense data.
        data: What the device sent.
    """

    status: int
    host_status: int
    sense: bytes
    data: bytes

    @property
    def is_good(self) -> bool:
        """Whether the device did it."""
        return self.status == GOOD and not self.host_status


async def send_command(
    requests: DriveRequests,
    command: bytes,
    *,
    data_out: bytes = b"",
    length_in: int = 0,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
) -> ScsiOutcome:
    """Send a command to the device of the host, and wait for its answer.

    Args:
        requests: The way to the medium.
        command: The command descriptor block.
        data_out: Bytes for the device.
        length_in: How many bytes the device may send; not both.
        timeout_ms: How long the host lets it take.

    Raises:
        OSError: ENOTSUP where there is no device of the host, EINVAL for a command that cannot be; else what the
            host says.
    """
    if not command or len(command) > _MOST_BYTES or (data_out and length_in):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    block = ctypes.create_string_buffer(command, len(command))
    data = ctypes.create_string_buffer(data_out or length_in, len(data_out) or length_in)
    sense = ctypes.create_string_buffer(_SENSE_LENGTH)
    # A thread that makes a call is waited for even by whoever is cancelled, so what this points to stays.
    memory = bytearray(ctypes.sizeof(SgIoHeader))
    header = SgIoHeader.from_buffer(memory)
    header.interface_id = ord("S")
    header.dxfer_direction = _direction(data_out, length_in)
    header.cmd_len, header.cmdp = len(command), ctypes.addressof(block)
    header.mx_sb_len, header.sbp = _SENSE_LENGTH, ctypes.addressof(sense)
    header.dxfer_len, header.dxferp = len(data), ctypes.addressof(data)
    header.timeout = timeout_ms
    await requests.ioctl(SG_IO, memory)
    received = max(length_in - max(header.resid, 0), 0)
    return ScsiOutcome(header.status, header.host_status, sense.raw[: header.sb_len_wr], data.raw[:received])


def _direction(data_out: bytes, length_in: int) -> _Direction:
    if data_out:
        return _Direction.TO_DEVICE
    return _Direction.FROM_DEVICE if length_in else _Direction.NONE
