"""Drivers in memory that ask the world for permission, and may be refused; and drivers that take their time."""

import asyncio
import errno
import os
import random
from typing import Any, Self

from qmpserver.driver_api.mapping import Allocation, Mapping
from qmpserver.driver_api.opening import OpenContext
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, PermissionSet
from qmpserver.drivers.copy_on_read import CopyOnReadDriver
from qmpserver.errors import QMPError
from tests.unit.block.memory_drivers import MemoryFile, MemoryFilter, MemoryFormat


class Trouble:
    """Counts questions, and refuses one of them."""

    def __init__(self) -> None:
        self.calm()

    def calm(self) -> None:
        """Refuse nothing, and count no more."""
        self.countdown = -1
        self.error: BaseException = QMPError("refused")
        self.has_struck = False

    def arm(self, countdown: int, error: BaseException) -> None:
        """Let `countdown` questions pass, and answer the next with `error`."""
        self.countdown, self.error, self.has_struck = countdown, error, False

    def ask(self) -> None:
        """Ask; the answer may be an exception."""
        self.countdown -= 1
        if self.countdown == -1:
            self.has_struck = True
            raise self.error


TROUBLE = Trouble()
ERRORS = (OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)), QMPError("refused"))


class _Reopening:
    """The reopening of all drivers: asks before it prepares and before it commits."""

    reopening: bool | None = None

    async def before_reopen(self) -> None:
        TROUBLE.ask()

    async def prepare_reopen(self, *, read_only: bool, options: dict[str, Any]) -> None:
        await self.before_reopen()
        assert self.reopening is None
        self.reopening = read_only

    async def commit_reopen(self) -> None:
        await self.before_reopen()
        self.reopening = None

    async def abort_reopen(self) -> None:
        self.reopening = None


class TroubledFile(_Reopening, MemoryFile):
    """A file whose permissions are held in a world outside."""

    def __init__(self, name: str, alignment: int) -> None:
        super().__init__(name, alignment)
        self.held = PermissionSet(PERM_NONE, PERM_ALL)
        self._prepared: PermissionSet | None = None

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        TROUBLE.ask()
        return await super().open(context)

    async def prepare_permissions(self, permissions: PermissionSet) -> None:
        if permissions != self.held:
            TROUBLE.ask()
        assert self._prepared is None
        self._prepared = permissions

    def commit_permissions(self) -> None:
        assert self._prepared is not None
        self.held, self._prepared = self._prepared, None

    def abort_permissions(self) -> None:
        self._prepared = None


class TroubledFormat(_Reopening, MemoryFormat):
    """A format that may fail to open or reopen."""

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        TROUBLE.ask()
        return await super().open(context)


class TroubledFilter(MemoryFilter):
    """A filter that may fail to open."""

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        TROUBLE.ask()
        return await super().open(context)


class SlowFile(MemoryFile):
    """A file whose requests take some turns of the loop, each its own number."""

    random = random.Random(0)

    async def _wait(self) -> None:
        for _ in range(self.random.choice((0, 0, 1, 2, 5))):
            await asyncio.sleep(0)

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        await self._wait()
        await super().pread(offset, into, flags)
        await self._wait()

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        await self._wait()
        await super().pwrite(offset, data, flags)
        await self._wait()

    async def flush(self) -> None:
        await self._wait()
        await super().flush()

    async def close(self) -> None:
        assert not self.closed
        await self._wait()
        await super().close()


class SlowFormat(_Reopening, MemoryFormat):
    """A format whose tables may take a turn of the loop to look at."""

    _next_host = 4096

    async def before_reopen(self) -> None:
        await asyncio.sleep(0)

    async def map(self, offset: int, length: int) -> Mapping:
        assert not self.closed
        if SlowFile.random.randrange(4) == 0:
            await asyncio.sleep(0)
        mapping = await super().map(offset, length)
        assert not self.closed
        return mapping

    async def allocate(self, offset: int, length: int) -> Allocation:
        if SlowFile.random.randrange(4) == 0:
            await asyncio.sleep(0)
        host, self._next_host = self._next_host, self._next_host + 4096
        return Allocation(offset - offset % 4096, 4096, self._file, host)

    async def change_backing_file(self, filename: str | None, backing_format: str | None) -> None:
        await asyncio.sleep(0)
        TROUBLE.ask()
        await super().change_backing_file(filename, backing_format)

    async def close(self) -> None:
        assert not self.closed
        await asyncio.sleep(0)
        await super().close()


class SlowFilter(CopyOnReadDriver):
    """The real filter, over slow nodes."""
