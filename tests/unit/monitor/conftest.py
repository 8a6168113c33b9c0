"""Run tests on both event loops."""

import asyncio
import io
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from qmpserver import log

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on an event loop of its own, one of each kind in turn."""
    factory = None if request.param == "asyncio" else pytest.importorskip("uvloop").new_event_loop

    def run_it(coroutine: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(coroutine)

    return run_it


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that is logged from `info` up, as JSON lines."""
    stream = io.StringIO()
    log.configure("info", as_json=True, stream=stream)
    yield stream
    log.configure()
