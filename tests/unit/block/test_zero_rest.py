"""A part of a cluster is made zero by metadata when the rest of it reads as zeroes already."""

import asyncio
import errno
from collections.abc import Callable
from typing import Any

import pytest

from qmpserver.driver_api import flags
from tests.unit.block.conftest import Engine

MakeEngine = Callable[[], Engine]
K = 1024


async def _over_a_base(engine: Engine) -> Any:
    """Return an overlay of 64 KiB; its base has data in the cluster at 8 KiB only."""
    base = await engine.add("base", "b", size=32 * K)
    await base.pwrite(8 * K, memoryview(b"B" * 100))
    return await engine.add("top", "t", backing="base")


@pytest.mark.parametrize(
    ("offset", "length", "table"),
    [
        (K, K, {0: None}),
        (0, K, {0: None}),
        (3 * K, 2 * K, {0: None, 1: None}),
        (3 * K, 10 * K, {0: None, 1: None, 2: None, 3: None}),
        (40 * K + 1, 1, {10: None}),
        (64 * K - 1, 1, {15: None}),
    ],
)
def test_no_room_is_taken_where_nothing_is_stored(
    make_engine: MakeEngine, offset: int, length: int, table: dict[int, None]
) -> None:
    async def scenario() -> None:
        top = await _over_a_base(make_engine())
        await top.pwrite_zeroes(offset, length, flags.NO_FALLBACK)
        assert top.driver.table == table

    asyncio.run(scenario())


@pytest.mark.parametrize(("offset", "stored"), [(8 * K + 50, False), (16 * K + 50, True)])
def test_what_is_around_is_kept(make_engine: MakeEngine, offset: int, stored: bool) -> None:
    async def scenario() -> None:
        top = await _over_a_base(make_engine())
        if stored:
            await top.pwrite(16 * K, memoryview(b"B" * 100))
        with pytest.raises(OSError, match="not supported") as refused:
            await top.pwrite_zeroes(offset, K, flags.NO_FALLBACK)
        assert refused.value.errno == errno.ENOTSUP
        await top.pwrite_zeroes(offset, K, 0)
        into = bytearray(4 * K)
        await top.pread(offset - 50, memoryview(into))
        assert into == b"B" * 50 + bytes(4 * K - 50)
        assert top.driver.table[offset // (4 * K)] is not None

    asyncio.run(scenario())
