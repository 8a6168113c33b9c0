"""A qcow2 image says what it is about to do to its file, and what is made to fail then leaves it sound."""

import asyncio
import errno
import os

import pytest

from qmpserver.driver_api.driver import MappingDriver
from qmpserver.drivers.blkdebug.driver import BlkdebugDriver
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from tests.contract.engine import Context, Engine, MemoryFile
from tests.images import judge
from tests.unit.drivers.context import NodeContext

SIZE = 1 << 20


class Debugged(MemoryFile):
    """A file under a blkdebug node, which hears what is done to it and may make it fail."""

    def __init__(self, file: MemoryFile, rules: BlkdebugDriver | None = None) -> None:
        super().__init__(file.data)
        self.data = file.data
        self.events: list[str] = []
        self.rules = rules
        self.debug_hook = self._hear

    async def _hear(self, event: str) -> None:
        self.events.append(event)
        if self.rules is not None and self.rules.debug_hook is not None:
            await self.rules.debug_hook(event)

    async def pwrite(self, offset: int, data: memoryview, flags: int = 0) -> None:
        if self.rules is not None:
            await self.rules.pwrite(offset, data, flags)
        await super().pwrite(offset, data, flags)


async def made() -> MemoryFile:
    file = MemoryFile()
    await Qcow2Driver.create(file, {"size": SIZE}, lambda _name: b"")
    return file


async def opened(file: MemoryFile) -> Engine:
    return Engine(await Qcow2Driver.open(Context({"file": file})))


def test_events_come_in_the_order_of_what_is_done() -> None:
    async def main() -> list[str]:
        file = Debugged(await made())
        engine = await opened(file)
        await engine.write(0, b"x" * 512)
        await engine.driver.flush()
        await engine.write(65536, b"x" * 512)
        await engine.driver.flush()
        return file.events

    events = asyncio.run(main())
    wanted = [
        "reftable_load",
        "refblock_load",
        "cluster_alloc",
        "flush_to_os",
        "refblock_update_part",
        "l2_alloc_write",
        "l1_update",
        "flush_to_disk",
        "cluster_alloc",
        "l2_update",
        "flush_to_disk",
    ]
    position = 0
    for event in wanted:
        position = events.index(event, position) + 1


@pytest.mark.parametrize("event", ["refblock_update_part", "l2_alloc_write", "l1_update", "flush_to_os"])
def test_what_fails_at_an_event_can_be_tried_again_and_the_image_is_sound(event: str) -> None:
    async def main() -> None:
        file = Debugged(await made())
        options = {"inject-error": [{"event": event, "iotype": "write", "errno": 28, "once": True}]}
        file.rules = await BlkdebugDriver.open(NodeContext({"image": MemoryFile()}, options=options))
        engine = await opened(file)
        await engine.write(0, b"x" * 512)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            await engine.driver.flush()
        verdict = judge(file.data)
        assert not verdict.corruptions
        await engine.driver.flush()
        await engine.driver.close()
        again = await opened(file)
        assert isinstance(again.driver, MappingDriver)
        assert await again.read(0, 1024) == b"x" * 512 + bytes(512)

    asyncio.run(main())


def test_a_compressed_cluster_is_told_of_before_its_table_changes() -> None:
    async def main() -> list[str]:
        file = Debugged(await made())
        engine = await opened(file)
        assert isinstance(engine.driver, MappingDriver)
        assert await engine.driver.write_compressed(0, memoryview(bytes(65536)))
        return file.events

    events = asyncio.run(main())
    assert events.index("write_compressed") < events.index("l2_update_compressed")


def test_a_refcount_table_that_moves_tells_of_its_blocks_first() -> None:
    async def main() -> list[str]:
        plain = MemoryFile()
        options = {"size": 4 * SIZE, "cluster-size": 512, "refcount-bits": 64}
        await Qcow2Driver.create(plain, options, lambda _name: b"")
        file = Debugged(plain)
        engine = await opened(file)
        await engine.write(0, b"x" * 3 * SIZE)
        await engine.driver.flush()
        assert not judge(file.data).corruptions
        return file.events

    events = asyncio.run(main())
    moves = ("blocks", "table")
    wanted = [
        "reftable_grow",
        *(f"refblock_alloc_write_{what}" for what in moves),
        "refblock_alloc_switch_table",
    ]
    position = 0
    for event in wanted:
        position = events.index(event, position) + 1
