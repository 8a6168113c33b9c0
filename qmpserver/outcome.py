"""Hold the result of what cannot be called back."""

import asyncio
from typing import Any, TypeVar

T = TypeVar("T")


class Outcome(asyncio.Future[T]):
    """The result of something that is under way and cannot be called back, and so cannot be cancelled.

    A cancelled task goes on waiting until it has come, and is cancelled then: the memory and the descriptors
    that it lent are not given back while they are still used.
    """

    def cancel(self, msg: Any = None) -> bool:
        """Refuse; the waiting task takes note and cancels itself afterwards."""
        del msg
        return False
