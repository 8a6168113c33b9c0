"""Read the lines that are typed, and let requests in flight go on only where one has to be waited for.

A line that is there already is carried out at once, ahead of what is in flight, as ``qemu-io`` does.
"""

import os
import select
from typing import TextIO

from qmpserver import threads

_PIECE = 4096


class LineInput:
    """The lines of a stream.

    Args:
        stream: Nobody else reads it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._buffer = bytearray()
        try:
            self._descriptor: int | None = stream.fileno()
        except OSError:
            self._descriptor = None

    async def next(self) -> str | None:
        """Return the next line without its end, or None when there is none any more."""
        if self._descriptor is None:
            line = self._stream.readline()
            return line.removesuffix("\n") if line else None
        while b"\n" not in self._buffer:
            data = await self._read(self._descriptor)
            if not data:
                break
            self._buffer += data
        if not self._buffer:
            return None
        found, _, rest = self._buffer.partition(b"\n")
        self._buffer = rest
        return os.fsdecode(bytes(found))

    @staticmethod
    async def _read(descriptor: int) -> bytes:
        is_ready, _, _ = select.select([descriptor], [], [], 0)
        if is_ready:
            return os.read(descriptor, _PIECE)
        return await threads.run(os.read, descriptor, _PIECE)
