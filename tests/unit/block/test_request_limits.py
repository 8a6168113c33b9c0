"""Requests come to a driver no larger and no less aligned than it asked for, and tell what they are about to do."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from typing import Any, Self

import pytest

from qmpserver.block.node import Node
from qmpserver.block.view import NodeFlags
from qmpserver.driver_api import flags
from qmpserver.driver_api.debug_events import DebugHook
from qmpserver.driver_api.driver import BlockDriver, not_supported
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.opening import OpenContext

SIZE = 1 << 16


class Narrow(BlockDriver):
    """A disk in memory that notes requests and refuses zeroes of less than a unit."""

    format_name = "narrow"

    def __init__(self, limits: Limits, size: int = SIZE) -> None:
        self.data = bytearray(b"o" * size)
        self.seen: list[tuple[Any, ...]] = []
        self.events: list[str] = []
        self._limits = limits

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        return cls(Limits())

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def debug_hook(self) -> DebugHook | None:
        return self._note

    async def _note(self, event: str) -> None:
        self.events.append(event)

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        self.seen.append(("read", offset, len(into)))
        into[:] = self.data[offset : offset + len(into)]

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        self.seen.append(("write", offset, len(data)))
        self.data[offset : offset + len(data)] = data

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        self.seen.append(("zero", offset, length))
        if length < self._limits.pwrite_zeroes_alignment:
            raise not_supported()
        self.data[offset : offset + length] = bytes(length)

    async def pdiscard(self, offset: int, length: int) -> None:
        self.seen.append(("discard", offset, length))

    async def flush(self) -> None:
        self.seen.append(("flush",))


def play(driver: BlockDriver, body: Callable[[Node], Awaitable[None]]) -> None:
    async def main() -> None:
        await body(Node("n", driver, NodeFlags(discard=True), {}))

    asyncio.run(main())


Request = Callable[[Node], Awaitable[None]]

WIDE = Limits(request_alignment=4096, max_transfer=8192)
UNITS = Limits(
    pwrite_zeroes_alignment=8192, max_pwrite_zeroes=16384, pdiscard_alignment=4096, max_pdiscard=8192
)


def read(offset: int, length: int) -> Request:
    return lambda node: node.pread(offset, memoryview(bytearray(length)))


def write(offset: int, length: int, request_flags: int = 0) -> Request:
    return lambda node: node.pwrite(offset, memoryview(b"n" * length), request_flags)


def zero(offset: int, length: int, request_flags: int = 0) -> Request:
    return lambda node: node.pwrite_zeroes(offset, length, request_flags)


def discard(offset: int, length: int) -> Request:
    return lambda node: node.pdiscard(offset, length)


@pytest.mark.parametrize(
    ("limits", "request_", "seen"),
    [
        (WIDE, read(0, 20480), [("read", 0, 8192), ("read", 8192, 8192), ("read", 16384, 4096)]),
        (WIDE, read(100, 10000), [("read", 0, 8192), ("read", 8192, 4096)]),
        (WIDE, write(4096, 16384), [("write", 4096, 8192), ("write", 12288, 8192)]),
        (
            WIDE,
            write(5000, 8192),
            [("read", 4096, 8192), ("read", 12288, 4096), ("write", 4096, 8192), ("write", 12288, 4096)],
        ),
        (
            WIDE,
            zero(5000, 12000),
            [
                ("read", 4096, 4096),
                ("write", 4096, 4096),
                ("zero", 8192, 8192),
                ("read", 16384, 4096),
                ("write", 16384, 4096),
            ],
        ),
        (WIDE, zero(5000, 100), [("read", 4096, 4096), ("write", 4096, 4096)]),
        (
            UNITS,
            zero(4096, 36864),
            [
                ("zero", 4096, 4096),
                ("write", 4096, 4096),
                ("zero", 8192, 16384),
                ("zero", 24576, 16384),
            ],
        ),
        (UNITS, discard(1000, 20000), [("discard", 4096, 8192), ("discard", 12288, 8192)]),
        (Limits(), write(0, 512, flags.FUA), [("write", 0, 512), ("flush",)]),
    ],
)
def test_requests_are_cut_to_what_the_driver_takes(
    limits: Limits, request_: Request, seen: list[tuple[Any, ...]]
) -> None:
    driver = Narrow(limits)
    play(driver, request_)
    assert driver.seen == seen


@pytest.mark.parametrize("limits", [WIDE, UNITS, Limits()])
def test_what_is_cut_is_carried_out_in_full(limits: Limits) -> None:
    driver = Narrow(limits)

    async def body(node: Node) -> None:
        await node.pwrite(5000, memoryview(b"n" * 20000))
        await node.pwrite_zeroes(10000, 30001)

    play(driver, body)
    assert driver.data == b"o" * 5000 + b"n" * 5000 + bytes(30001) + b"o" * (SIZE - 40001)


def test_a_driver_that_sees_to_durable_writes_itself_is_not_flushed() -> None:
    class Durable(Narrow):
        handles_fua = True

    driver = Durable(Limits())
    play(driver, write(0, 512, flags.FUA))
    play(driver, zero(0, 512, flags.FUA))
    assert ("flush",) not in driver.seen


@pytest.mark.parametrize(
    ("request_", "events"),
    [
        (write(4096, 4096), ["pwritev", "pwritev_done"]),
        (
            write(5000, 100),
            [
                "pwritev",
                "pwritev_rmw_head",
                "pwritev_rmw_tail",
                "pwritev_rmw_after_head",
                "pwritev_rmw_after_tail",
                "pwritev_done",
            ],
        ),
        (
            write(4096, 100),
            ["pwritev", "pwritev_rmw_tail", "pwritev_rmw_after_tail", "pwritev_done"],
        ),
        (zero(4096, 4096), ["pwritev_zero", "pwritev_done"]),
        (read(0, 512), []),
    ],
)
def test_a_request_tells_what_it_is_about_to_do(request_: Request, events: list[str]) -> None:
    driver = Narrow(WIDE)
    play(driver, request_)
    assert driver.events == events


def test_a_request_that_is_not_to_fall_back_does_not() -> None:
    driver = Narrow(UNITS)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is looked at below
        play(driver, zero(0, 4096, flags.NO_FALLBACK))
    assert caught.value.errno == errno.ENOTSUP
    assert driver.seen == [("zero", 0, 4096)]
