"""Cut a list of buffers, which lie one behind the other, in two."""

from collections.abc import Sequence


def split(buffers: Sequence[memoryview], length: int) -> tuple[list[memoryview], list[memoryview]]:
    """Return the buffers that hold the first `length` bytes, and those that hold the rest."""
    first: list[memoryview] = []
    for index, buffer in enumerate(buffers):
        if len(buffer) > length:
            if length:
                first.append(buffer[:length])
            return first, [buffer[length:], *buffers[index + 1 :]]
        first.append(buffer)
        length -= len(buffer)
    return first, []
