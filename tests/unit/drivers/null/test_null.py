import asyncio
from typing import Any

import pytest

from qmpserver.driver_api.status import BlockStatus
from qmpserver.drivers.null import NullDriver
from qmpserver.errors import QMPError
from qmpserver.units import GiB
from tests.unit.drivers.context import NodeContext


async def open_null(**options: Any) -> NullDriver:
    wire = {name.replace("_", "-"): value for name, value in options.items()}
    return await NullDriver.open(NodeContext({}, options=wire))


@pytest.mark.parametrize(
    ("options", "size", "filename"),
    [
        ({}, GiB, "null-co://"),
        ({"latency_ns": 10}, GiB, "null-co://"),
        ({"size": 1000}, 1000, None),
        ({"size": 0}, 0, None),
        ({"read_zeroes": True}, GiB, None),
    ],
)
def test_options_decide_size_and_name(options: dict[str, Any], size: int, filename: str | None) -> None:
    driver = asyncio.run(open_null(**options))
    assert driver.size == size
    assert driver.exact_filename == filename


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"latency_ns": -5}, "latency-ns is invalid"),
        ({"size": -1}, "Parameter 'size' expects a non-negative number below 2^64"),
    ],
)
def test_negative_numbers_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(QMPError) as caught:
        asyncio.run(open_null(**options))
    assert caught.value.description == text


def test_nothing_is_kept() -> None:
    async def main() -> None:
        driver = await open_null(latency_ns=1)
        await driver.pwrite(0, memoryview(b"abc"), 0)
        await driver.pwrite_zeroes(0, 512, 0)
        await driver.pdiscard(0, 512)
        await driver.flush()
        into = bytearray(b"x" * 10)
        await driver.pread(0, memoryview(into), 0)
        assert into == bytes(10)
        assert await driver.allocated_size() == 0
        await driver.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("read_zeroes", "expected"),
    [
        (False, BlockStatus(100, is_data=False, is_zero=False, is_allocated=False)),
        (True, BlockStatus(100, is_data=False, is_zero=True, is_allocated=True, host_offset=512)),
    ],
)
def test_status_promises_zeroes_only_when_asked(read_zeroes: bool, expected: BlockStatus) -> None:
    async def main() -> None:
        driver = await open_null(read_zeroes=read_zeroes)
        assert await driver.block_status(512, 100) == expected

    asyncio.run(main())
