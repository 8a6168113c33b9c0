"""A kernel whose devices answer as a test wants, in the place of ``fcntl.ioctl``."""

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Callable
from typing import Any

import pytest

from qmpserver.machine.media.scsi_command import SG_IO, SgIoHeader

_SG_GET_VERSION_NUM = 0x2282
_SG_GET_SCSI_ID = 0x2276

Answer = int | Callable[[Any], int]


class FakeKernel:
    """Answers requests by their numbers; what it has no answer for fails with ENOTTY.

    Attributes:
        answers: For each request what it returns, or what makes that of its argument; negative is an errno.
        seen: The requests made, with their arguments.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[int, Answer] = {}
        self.seen: list[tuple[int, Any]] = []
        monkeypatch.setattr(fcntl, "ioctl", self._ioctl)

    def _ioctl(self, _fd: int, request: int, argument: Any = 0) -> int:
        self.seen.append((request, bytes(argument) if isinstance(argument, bytes | bytearray) else argument))
        answer = self.answers.get(request, -errno.ENOTTY)
        number = answer if isinstance(answer, int) else answer(argument)
        if number < 0:
            raise OSError(-number, os.strerror(-number))
        return number

    def be_scsi(self, inquiry: bytes) -> None:
        """Be a SCSI device that says `inquiry` of itself and takes nothing else but TEST UNIT READY."""

        def version(argument: bytearray) -> int:
            argument[:] = struct.pack("@i", 30536)
            return 0

        def command(argument: bytearray) -> int:
            header = SgIoHeader.from_buffer(argument)
            block = ctypes.string_at(header.cmdp, header.cmd_len)
            sense = b""
            if block[0] == 0x12:
                said = inquiry[: header.dxfer_len]
                ctypes.memmove(header.dxferp, said, len(said))
                header.resid = header.dxfer_len - len(said)
            elif block[0] != 0:
                sense = b"\x70\0\x05" + bytes(15)
                header.status = 2
            ctypes.memmove(header.sbp, sense, len(sense))
            header.sb_len_wr = len(sense)
            return 0

        self.answers |= {_SG_GET_VERSION_NUM: version, _SG_GET_SCSI_ID: 0, SG_IO: command}
