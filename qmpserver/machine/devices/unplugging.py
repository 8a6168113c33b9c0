"""Let devices go at once, or after as long as a guest would take to agree."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from qmpserver import tasks
from qmpserver.clock import Clock, Timer
from qmpserver.machine.devices.device import Device


class Unplugging:
    """The devices that were told to go.

    Args:
        clock: What the delay is measured by.
        part_with: Takes a device away; called once for each.

    Attributes:
        delay_ns: How long a PCI device takes to go; QEMU asks its guest, and here is none.
    """

    def __init__(self, clock: Clock, part_with: Callable[[Device], Coroutine[Any, Any, None]]) -> None:
        self.delay_ns = 0
        self._clock = clock
        self._part_with = part_with
        self._waiting: dict[Device, Timer] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def begin(self, device: Device) -> None:
        """Let a device go, now or later."""
        device.is_leaving = True
        if self.delay_ns and device.bus is not None and device.bus.fits("PCI"):
            self._waiting[device] = self._clock.call_later(self.delay_ns, lambda: self._finish(device))
        else:
            await self._part_with(device)

    def finish_all(self) -> None:
        """Let all devices go now that wait, as a reset does."""
        for device in tuple(self._waiting):
            self._finish(device)

    def _finish(self, device: Device) -> None:
        timer = self._waiting.pop(device, None)
        if timer is not None:
            timer.cancel()
            tasks.spawn(self._tasks, self._part_with(device))

    async def close(self) -> None:
        """Call off what was to go later, and wait for what is going."""
        for timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()
        await asyncio.gather(*self._tasks)
