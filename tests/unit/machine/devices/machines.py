"""Run tests that wait, each on an event loop of its own."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from qmpserver.machine.machine import Machine

MakeMachine = Callable[..., Machine]
P = ParamSpec("P")

_PATIENCE_S = 20


def waits(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test that is a coroutine."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), _PATIENCE_S))

    return run
