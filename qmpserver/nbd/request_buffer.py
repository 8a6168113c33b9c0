"""Take requests, with their data, out of the bytes that a client sends.

The carrier reads into memory that the buffer names, so that data is where it stays when it has come whole: short
data in the buffer itself, long data in memory of its own.
"""

from typing import Final

from qmpserver import recycling
from qmpserver.nbd.server_handshake import HeaderMode
from qmpserver.nbd.server_requests import Request, RequestReader

BUFFER: Final = 256 << 10
"""Bytes that can be taken in at once."""

_LEAST_ROOM: Final = BUFFER // 2

_HEADER_ROOM: Final = 512
"""Bytes taken in after long data, since the next request likely has some too, which is to go where it stays."""


class RequestBuffer:
    """What one client has sent in transmission.

    Args:
        mode: As negotiated.
        begin: What was read beyond the handshake; at most :data:`BUFFER` bytes.
    """

    def __init__(self, mode: HeaderMode, begin: bytes = b"") -> None:
        self._reader = RequestReader(mode)
        self._view = memoryview(bytearray(BUFFER))
        self._view[: len(begin)] = begin
        self._start, self._end = 0, len(begin)
        self._is_lent = False
        self._is_taken_in_buffer = False
        self._filling: Request | None = None
        self._filled = 0
        self._expects_long = False

    @property
    def is_filling(self) -> bool:
        """Whether a request has come whose long data has not come whole."""
        return self._filling is not None

    def room(self) -> memoryview:
        """Return where the next bytes go; never empty once :meth:`take` has returned None."""
        if self._filling is not None:
            return self._filling.data[self._filled :]
        if self._start == self._end and not self._is_lent:
            self._start = self._end = 0
        elif BUFFER - self._end < _LEAST_ROOM:
            self._move_to_front()
        if self._expects_long:
            return self._view[self._end : self._end + _HEADER_ROOM]
        return self._view[self._end :]

    def _move_to_front(self) -> None:
        """Have what is there at the beginning, of another buffer while requests still use this one."""
        rest = bytes(self._view[self._start : self._end])
        if self._is_lent:
            self._view = memoryview(bytearray(BUFFER))
            self._is_lent = False
        self._view[: len(rest)] = rest
        self._start, self._end = 0, len(rest)

    def received(self, count: int) -> None:
        """Note that `count` bytes have been put where :meth:`room` said."""
        if self._filling is not None:
            self._filled += count
        else:
            self._end += count

    def lend(self) -> None:
        """Leave the data of the request taken last alone: it will still be used when more is read."""
        self._is_lent |= self._is_taken_in_buffer

    def take(self) -> Request | None:
        """Return the next request that has come whole, or None.

        Its data holds until more is read, or for ever after :meth:`lend`.

        Raises:
            ProtocolError: The client does not keep to the protocol.
        """
        if self._filling is not None:
            return self._take_filled(self._filling)
        start = self._start + self._reader.header_size
        if start > self._end:
            return None
        request = self._reader.read(self._view, self._start)
        length = request.payload
        have = self._end - start
        if have >= length:
            self._start = start + length
            self._expects_long = False
            self._is_taken_in_buffer = length > 0
            if length:
                request.data = self._view[start : self._start]
            return request
        if length < recycling.SMALLEST:
            # The rest comes behind it, and more requests with it.
            return None
        request.data = recycling.take(length)
        request.data[:have] = self._view[start : self._end]
        # Not back to the front: what lies there may be lent.
        self._start = self._end
        self._filling, self._filled = request, have
        return None

    def _take_filled(self, request: Request) -> Request | None:
        if self._filled < len(request.data):
            return None
        self._filling = None
        self._expects_long = True
        self._is_taken_in_buffer = False
        return request
