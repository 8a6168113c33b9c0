"""Choose the event loop of a server, and hear the signals that end it."""

import asyncio
import signal
from collections.abc import Callable


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the fastest event loop there is."""
    try:
        import uvloop  # noqa: PLC0415 - faster where it installs, and not needed
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def on_end_signals(end: Callable[[], object]) -> None:
    """Call `end` at each signal that ends a server in order; the loop runs."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end)
