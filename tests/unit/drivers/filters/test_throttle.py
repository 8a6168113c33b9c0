"""The throttle filter slows requests down by the group's limits, and leaves everything else alone."""

import asyncio

import pytest

from qmpserver.block.node import Node
from qmpserver.block.view import NodeFlags
from qmpserver.clock import ManualClock
from qmpserver.driver_api.surroundings import Surroundings
from qmpserver.drivers.throttle import ThrottleDriver
from qmpserver.errors import QMPError
from qmpserver.objects import ObjectStore
from tests.contract.engine import MemoryFile
from tests.contract.filter_contract import FilterContract
from tests.unit.drivers.context import NodeContext

SECOND = 1_000_000_000


class Lending:
    """Two groups on a clock that a test turns, `slow` with one KiB a second and `free`."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.objects = ObjectStore(self.clock)
        self.objects.add({"qom-type": "throttle-group", "id": "slow", "limits": {"bps-total": 1024}})
        self.objects.add({"qom-type": "throttle-group", "id": "free"})
        self.surroundings = Surroundings(clock=self.clock, throttle_group=self.objects.throttle_group)

    async def open(self, file: MemoryFile, group: str) -> ThrottleDriver:
        context = NodeContext(
            {"file": file}, options={"throttle-group": group}, surroundings=self.surroundings
        )
        return await ThrottleDriver.open(context)


class TestThrottle(FilterContract):
    """A filter of a group without limits."""

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> ThrottleDriver:
        return await Lending().open(file, "free")


@pytest.mark.parametrize("kind", ["read", "write", "zeroes", "discard"])
def test_each_kind_of_request_waits_and_a_flush_does_not(kind: str) -> None:
    async def main() -> None:
        lending = Lending()
        driver = await lending.open(MemoryFile(bytes(8192)), "slow")

        async def request() -> None:
            match kind:
                case "read":
                    await driver.pread(0, memoryview(bytearray(1024)), 0)
                case "write":
                    await driver.pwrite(0, memoryview(b"x" * 1024), 0)
                case "zeroes":
                    await driver.pwrite_zeroes(0, 1024, 0)
                case _:
                    await driver.pdiscard(0, 1024)

        await request()
        waiting = asyncio.create_task(request())
        await asyncio.sleep(0)
        await driver.flush()
        lending.clock.advance(SECOND * 8 // 10)
        await asyncio.sleep(0)
        assert not waiting.done()
        lending.clock.advance(SECOND // 5)
        await waiting

    asyncio.run(main())


def test_draining_the_node_lets_what_waits_go() -> None:
    async def main() -> None:
        node = Node("n", await Lending().open(MemoryFile(bytes(8192)), "slow"), NodeFlags(), {})
        await node.pwrite(0, memoryview(b"x" * 4096))
        waiting = [asyncio.create_task(node.pwrite(0, memoryview(b"y" * 4096))) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        async with node.drained():
            assert all(task.done() for task in waiting)
        late = asyncio.create_task(node.pwrite(0, memoryview(b"z" * 4096)))
        await asyncio.sleep(0)
        assert not late.done()
        late.cancel()

    asyncio.run(main())


def test_a_group_in_use_is_not_deleted_and_an_unknown_one_not_used() -> None:
    async def main() -> None:
        lending = Lending()
        driver = await lending.open(MemoryFile(), "slow")
        with pytest.raises(QMPError, match="Cannot delete throttle group 'slow' with active references"):
            lending.objects.remove("slow")
        with pytest.raises(QMPError, match="Throttle group 'none' does not exist"):
            await lending.open(MemoryFile(), "none")
        await driver.close()
        lending.objects.remove("slow")

    asyncio.run(main())


def test_reopening_moves_to_another_group_or_stays() -> None:
    async def main() -> None:
        lending = Lending()
        driver = await lending.open(MemoryFile(bytes(8192)), "slow")
        with pytest.raises(QMPError, match="Throttle group 'none' does not exist"):
            await driver.prepare_reopen(read_only=False, options={"throttle-group": "none"})
        await driver.prepare_reopen(read_only=False, options={"throttle-group": "free"})
        await driver.abort_reopen()
        lending.objects.remove("free")
        lending.objects.add({"qom-type": "throttle-group", "id": "free"})
        driver.drain_begin()
        await driver.prepare_reopen(read_only=False, options={"throttle-group": "free"})
        await driver.commit_reopen()
        driver.drain_end()
        lending.objects.remove("slow")
        for _ in range(3):
            await driver.pwrite(0, memoryview(b"x" * 4096), 0)

    asyncio.run(main())
