"""Drop from memory, every so often, the metadata that was not used since the last time."""

import asyncio

from qmpserver.drivers.qcow2.refcounts import Refcounts
from qmpserver.drivers.qcow2.tables import L2Tables
from qmpserver.tasks import is_without_loop


class CacheCleaner:
    """A timer over the caches of one image.

    Args:
        tables: The L2 tables.
        refcounts: The refcount blocks.
        interval: Seconds between two looks; 0 for none at all.
    """

    def __init__(self, tables: L2Tables, refcounts: Refcounts, interval: int) -> None:
        self._tables = tables
        self._refcounts = refcounts
        self._interval = interval
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look for the first time after one interval; a tool without an event loop does not last so long."""
        if self._interval and not is_without_loop():
            self._timer = asyncio.get_running_loop().call_later(self._interval, self.clean)

    def restart(self, interval: int) -> None:
        """Look at another interval from now on."""
        self.stop()
        self._interval = interval
        self.start()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def clean(self) -> None:
        """Drop what is clean, not held, and was not used since the last call; look again later."""
        self._tables.drop_unused()
        self._refcounts.drop_clean()
        self.start()
