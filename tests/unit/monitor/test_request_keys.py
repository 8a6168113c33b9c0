"""Requests that are made again."""

import asyncio
from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.monitor.request_keys import RequestKeys


class Counter:
    """Something to be done once."""

    def __init__(self) -> None:
        self.runs = 0
        self.gate = asyncio.Event()

    async def run(self) -> int:
        self.runs += 1
        await self.gate.wait()
        return self.runs

    async def fail(self) -> Any:
        self.runs += 1
        await self.gate.wait()
        raise QMPError("no")


def test_the_same_request_is_carried_out_once_even_while_it_is_under_way() -> None:
    async def main() -> None:
        counter, keys = Counter(), RequestKeys()
        requests = [asyncio.create_task(keys.once("k", ("add", {"a": 1}), counter.run)) for _ in range(3)]
        await asyncio.sleep(0)
        counter.gate.set()
        assert await asyncio.gather(*requests) == [1, 1, 1]
        assert await keys.once("k", ("add", {"a": 1}), counter.run) == 1
        assert await keys.once("other", ("add", {"a": 1}), counter.run) == 2

    asyncio.run(main())


def test_a_key_belongs_to_one_request() -> None:
    async def main() -> None:
        counter, keys = Counter(), RequestKeys()
        counter.gate.set()
        await keys.once("k", ("add", {"a": 1}), counter.run)
        with pytest.raises(QMPError, match="Request key 'k' belongs to another request"):
            await keys.once("k", ("add", {"a": 2}), counter.run)
        assert counter.runs == 1

    asyncio.run(main())


def test_the_key_of_a_request_that_failed_is_free_again() -> None:
    async def main() -> None:
        counter, keys = Counter(), RequestKeys()
        requests = [asyncio.create_task(keys.once("k", "add", counter.fail)) for _ in range(2)]
        await asyncio.sleep(0)
        counter.gate.set()
        results = await asyncio.gather(*requests, return_exceptions=True)
        assert [str(result) for result in results] == ["no", "no"]
        assert await keys.once("k", "something else", counter.run) == 2

    asyncio.run(main())


def test_the_oldest_keys_are_forgotten() -> None:
    async def main() -> None:
        counter, keys = Counter(), RequestKeys(kept=2)
        counter.gate.set()
        for key in "abc":
            await keys.once(key, key, counter.run)
        assert await keys.once("c", "c", counter.run) == 3
        assert await keys.once("a", "a", counter.run) == 4

    asyncio.run(main())
