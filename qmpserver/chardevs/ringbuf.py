"""Keep what is written last, for clients that read and write by command."""

from typing import ClassVar

from qmpserver.chardevs.chardev import Chardev
from qmpserver.errors import QMPError
from qmpserver.units import KiB

DEFAULT_SIZE = 64 * KiB


class RingbufChardev(Chardev):
    """A buffer of fixed size; what is too much pushes out what came first.

    Args:
        label: What it is called.
        size: Bytes it holds, a power of two.
        backend: `ringbuf`, or its older name `memory`.

    Raises:
        QMPError: The size is none.
    """

    backend: ClassVar[str] = "ringbuf"

    def __init__(self, label: str, size: int = DEFAULT_SIZE, backend: str = "ringbuf") -> None:
        super().__init__(label)
        if size <= 0 or size & (size - 1):
            raise QMPError("size of ringbuf chardev must be power of two")
        self._size = size
        self._shown = backend
        self._content = bytearray()

    @property
    def filename(self) -> str:
        """The name it was asked for by."""
        return self._shown

    def write(self, data: bytes) -> None:
        """Add bytes."""
        self._content += data
        del self._content[: -self._size]

    def read(self, size: int) -> bytes:
        """Take out at most `size` bytes, those first that came first."""
        taken = bytes(self._content[:size])
        del self._content[:size]
        return taken
