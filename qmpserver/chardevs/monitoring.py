"""Put a monitor on a chardev, and take it off again."""

import dataclasses
from collections.abc import Callable

from qmpserver.chardevs.chardev import Chardev
from qmpserver.clock import Clock
from qmpserver.monitor.doors import Door, Host, open_door


class ChardevMonitor:
    """A monitor for whoever is at the other end of a chardev.

    Args:
        chardev: Where clients are; nobody else uses it.
        monitor: Who serves them.
        clock: What to wait by.
        pretty: Their messages are indented.
        on_client_end: Called each time a client has gone.
    """

    def __init__(
        self,
        chardev: Chardev,
        monitor: Host,
        clock: Clock,
        *,
        pretty: bool = False,
        on_client_end: Callable[[], object] = lambda: None,
    ) -> None:
        self.chardev = chardev
        self._monitor = monitor
        self._clock = clock
        self._pretty = pretty
        self._on_client_end = on_client_end
        self._doors: list[Door] = []

    @property
    def has_clients(self) -> bool:
        """Whether somebody is at the other end."""
        return any(door.has_clients for door in self._doors)

    def close_clients(self) -> None:
        """Part with those who are there; others may come."""
        for door in self._doors:
            door.close_clients()

    async def open(self) -> None:
        """Let clients in.

        Raises:
            QMPError: It cannot be done; the chardev is free again.
        """
        self.chardev.is_taken = True
        self.chardev.user = self
        try:
            for endpoint in self.chardev.hand_over():
                wanted = dataclasses.replace(endpoint, pretty=self._pretty)
                door = await open_door(wanted, self._monitor, self._clock, self._on_client_end)
                self._doors.append(door)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let no more clients in, and part with those who are there; the chardev is free again."""
        for door in self._doors:
            await door.close()
            door.close_clients()
        self._doors.clear()
        self.chardev.user = None
        self.chardev.is_taken = False

    async def stop(self) -> None:
        """Let no more clients in; those who are there stay."""
        for door in self._doors:
            await door.close()
