"""Carry out a request once, however often a client that is not sure of the answer makes it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from qmpserver.errors import QMPError

KEPT = 1000
"""Keys remembered; the oldest go first."""


class RequestKeys:
    """The requests that changed something and carried a key, with their results.

    A request that failed changed nothing, so its key is free again.

    Args:
        kept: How many are remembered.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._requests: dict[str, tuple[Any, asyncio.Future[Any]]] = {}

    async def once(self, key: str, request: Any, run: Callable[[], Awaitable[Any]]) -> Any:
        """Return the result of `run`, or that of the same request made before under this key.

        Args:
            key: The client's name for the request.
            request: What it asks for, to be compared.
            run: Carries it out.

        Raises:
            QMPError: The key belongs to another request.
            Exception: Whatever `run` raised.
        """
        earlier = self._requests.get(key)
        if earlier is not None:
            made, result = earlier
            if made != request:
                raise QMPError(f"Request key '{key}' belongs to another request")
            return await asyncio.shield(result)
        result = asyncio.get_running_loop().create_future()
        self._requests[key] = (request, result)
        self._forget_oldest()
        try:
            value = await run()
        except BaseException as error:
            self._requests.pop(key, None)
            result.set_exception(
                error if isinstance(error, Exception) else QMPError("The request was broken off")
            )
            result.exception()
            raise
        result.set_result(value)
        return value

    def _forget_oldest(self) -> None:
        if len(self._requests) > self._kept:
            oldest = next((key for key, (_, result) in self._requests.items() if result.done()), None)
            if oldest is not None:
                del self._requests[oldest]
