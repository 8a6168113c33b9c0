"""Tell, once, that a node is written beyond an offset that a client has named."""

from collections.abc import Callable
from typing import NamedTuple

Exceeded = Callable[[int, int], None]
"""Called with the threshold and by how many bytes it is exceeded."""


class WriteThreshold(NamedTuple):
    """A byte offset, and whom to tell of the first request that ends beyond it.

    Attributes:
        offset: The threshold.
        on_exceeded: Told of it.
    """

    offset: int
    on_exceeded: Exceeded

    def is_exceeded(self, end: int) -> bool:
        """Say whether a request that ends at `end` goes beyond, and tell of it if it does."""
        if end <= self.offset:
            return False
        self.on_exceeded(self.offset, end - self.offset)
        return True
