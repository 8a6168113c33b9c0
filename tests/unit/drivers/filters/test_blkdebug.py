"""Errors come when, where and as often as the rules of a blkdebug node say."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from qmpserver.clock import ManualClock
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, Permission, PermissionSet
from qmpserver.driver_api.surroundings import Surroundings
from qmpserver.drivers.blkdebug.config import read_config
from qmpserver.drivers.blkdebug.driver import BlkdebugDriver
from qmpserver.errors import QMPError
from tests.contract.engine import MemoryFile
from tests.contract.filter_contract import FilterContract
from tests.unit.drivers.context import NodeContext

SIZE = 1 << 20


async def open_filter(image: MemoryFile, **options: Any) -> BlkdebugDriver:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    surroundings = Surroundings(clock=ManualClock())
    return await BlkdebugDriver.open(NodeContext({"image": image}, options=named, surroundings=surroundings))


class TestBlkdebug(FilterContract):
    """A filter without rules."""

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> BlkdebugDriver:
        return await open_filter(file)

    def test_it_is_a_filter_and_shows_nothing_of_its_own(self) -> None:
        driver = asyncio.run(open_filter(MemoryFile()))
        assert driver.image_info() == {}
        with pytest.raises(OSError, match=os.strerror(errno.ENOTSUP)):
            asyncio.run(driver.allocated_size())


async def attempt(driver: BlkdebugDriver, request: str) -> int:
    """Carry out ``read OFFSET LENGTH`` and the like, or let an event happen; return the errno, 0 if it went well."""
    kind, *numbers = request.split()
    offset, length = [int(number) for number in numbers] or (0, 0)
    try:
        match kind:
            case "read":
                await driver.pread(offset, memoryview(bytearray(length)), 0)
            case "write":
                await driver.pwrite(offset, memoryview(b"x" * length), 0)
            case "zero":
                await driver.pwrite_zeroes(offset, length, 0)
            case "discard":
                await driver.pdiscard(offset, length)
            case "flush":
                await driver.flush()
            case "status":
                await driver.block_status(offset, length)
            case _:
                assert driver.debug_hook is not None
                await driver.debug_hook(kind)
    except OSError as error:
        return error.errno or -1
    return 0


def inject(event: str = "none", **members: Any) -> dict[str, Any]:
    return {"event": event, **members}


def move(event: str, new_state: int, **members: Any) -> dict[str, Any]:
    return {"event": event, "new_state": new_state, **members}


# What qemu-io 11.1 says of the same rules and requests; its raw driver tells of `read_aio` and the like itself.
ROWS: dict[str, tuple[dict[str, Any], list[tuple[str, int]]]] = {
    "a kind": (
        {"inject_error": [inject(iotype="write")]},
        [("write 0 512", 5), ("read 0 512", 0), ("zero 0 512", 0), ("flush", 0)],
    ),
    "no error": ({"inject_error": [inject(iotype="write", errno=0)]}, [("write 0 512", 0)]),
    "any errno": ({"inject_error": [inject(errno=9999)]}, [("write 0 512", 9999)]),
    "a sector": (
        {"inject_error": [inject(sector=1)]},
        [
            ("read 0 512", 0),
            ("read 0 1024", 5),
            ("read 512 512", 5),
            ("read 1024 512", 0),
            ("discard 0 1024", 5),
            ("zero 0 65536", 5),
            ("flush", 0),
            ("status 0 1048576", 0),
        ],
    ),
    "the flush": (
        {"inject_error": [inject(sector=-1, iotype="flush")]},
        [("write 0 512", 0), ("flush", 5), ("flush", 5)],
    ),
    "a question": (
        {"inject_error": [inject(iotype="block-status")]},
        [("status 0 512", 5), ("read 0 512", 0)],
    ),
    "an event ends the errors of the one before": (
        {"inject_error": [inject("pwritev", state=0, iotype="write"), inject(iotype="read")]},
        [("read 0 512", 5), ("pwritev", 0), ("write 0 512", 5), ("read 0 512", 0)],
    ),
    "an event without rules changes nothing": (
        {"inject_error": [inject("write_aio", errno=28)]},
        [("read 0 512", 0), ("write_aio", 0), ("write 0 512", 28), ("read_aio", 0), ("read 0 512", 28)],
    ),
    "states": (
        {"set_state": [move("write_aio", 2)], "inject_error": [inject("read_aio", state=2, once=True)]},
        [
            ("read_aio", 0),
            ("read 0 512", 0),
            ("write_aio", 0),
            ("read_aio", 0),
            ("read 0 512", 5),
            ("read_aio", 0),
            ("read 0 512", 0),
        ],
    ),
    "a state that is not there": (
        {"set_state": [move("write_aio", 2, state=3)], "inject_error": [inject("read_aio", state=2)]},
        [("write_aio", 0), ("read_aio", 0), ("read 0 512", 0)],
    ),
    "the first of two errors": (
        {"inject_error": [inject(errno=28), inject(errno=5)]},
        [("read 0 512", 28)],
    ),
    "the first of two moves": (
        {
            "set_state": [move("read_aio", 2), move("read_aio", 3)],
            "inject_error": [inject("write_aio", errno=28, state=2), inject("write_aio", errno=5, state=3)],
        },
        [("read_aio", 0), ("write_aio", 0), ("write 0 512", 28)],
    ),
    "once": (
        {"inject_error": [inject(once=True, immediately=True, iotype="read")]},
        [("read 0 512", 5), ("read 0 512", 0)],
    ),
    "limits": (
        {"align": 4096, "opt_write_zero": 65536, "opt_discard": 32768},
        [("zero 0 4096", errno.ENOTSUP), ("zero 0 65536", 0), ("discard 0 4096", errno.ENOTSUP)],
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_requests_fail_as_the_rules_say(row: str) -> None:
    options, requests = ROWS[row]

    async def main() -> list[tuple[str, int]]:
        driver = await open_filter(MemoryFile(bytes(SIZE)), **options)
        return [(request, await attempt(driver, request)) for request, _ in requests]

    assert asyncio.run(main()) == requests


def test_a_delay_takes_its_time() -> None:
    async def main() -> None:
        clock = ManualClock()
        options = {"inject-error": [inject(errno=0) | {"delay-ns": 1000}]}
        context = NodeContext(
            {"image": MemoryFile(bytes(SIZE))}, options=options, surroundings=Surroundings(clock)
        )
        driver = await BlkdebugDriver.open(context)
        task = asyncio.create_task(attempt(driver, "read 0 512"))
        await asyncio.sleep(0)
        clock.advance(999)
        await asyncio.sleep(0)
        assert not task.done()
        clock.advance(1)
        assert await task == 0

    asyncio.run(main())


def test_a_breakpoint_holds_a_request_until_it_is_resumed() -> None:
    async def main() -> None:
        driver = await open_filter(MemoryFile(bytes(SIZE)))
        driver.add_breakpoint("pwritev", "A")
        assert not driver.is_suspended("A")
        task = asyncio.create_task(attempt(driver, "pwritev"))
        await asyncio.sleep(0)
        assert driver.is_suspended("A")
        assert await attempt(driver, "pwritev") == 0
        assert driver.resume("A")
        assert not driver.resume("A")
        assert await task == 0
        driver.add_breakpoint("pwritev", "B")
        task = asyncio.create_task(attempt(driver, "pwritev"))
        await asyncio.sleep(0)
        assert not driver.remove_breakpoint("B")
        await task
        driver.add_breakpoint("pwritev", "B")
        assert driver.remove_breakpoint("B")
        assert not driver.remove_breakpoint("B")
        with pytest.raises(QMPError, match="invalid parameter value: nope"):
            driver.add_breakpoint("nope", "C")

    asyncio.run(main())


def test_two_breakpoints_at_one_event_hold_a_request_together() -> None:
    async def main() -> None:
        told: list[str] = []
        driver = await open_filter(MemoryFile(bytes(SIZE)))
        driver.tell = told.append
        for tag in ("A", "B"):
            driver.add_breakpoint("pwritev", tag)
        task = asyncio.create_task(attempt(driver, "pwritev"))
        await driver.until_suspended("A")
        assert driver.is_suspended("B")
        assert driver.resume("A")
        await asyncio.sleep(0)
        assert not task.done()
        driver.resume_all()
        assert await task == 0
        assert told == [
            "Suspended request 'B'",
            "Suspended request 'A'",
            "Resuming request 'A'",
            "Resuming request 'B'",
        ]

    asyncio.run(main())


def test_limits_and_permissions_are_as_told() -> None:
    options = {"align": 4096, "max_transfer": 8192, "opt_write_zero": 65536, "max_write_zero": 131072}
    permissions = {"take_child_perms": ["write"], "unshare_child_perms": ["resize"]}
    driver = asyncio.run(
        open_filter(MemoryFile(), **options, **permissions, opt_discard=65536, max_discard=131072)
    )
    limits = driver.limits
    assert (limits.request_alignment, limits.max_transfer) == (4096, 8192)
    assert (limits.pwrite_zeroes_alignment, limits.max_pwrite_zeroes) == (65536, 131072)
    assert (limits.pdiscard_alignment, limits.max_pdiscard) == (65536, 131072)
    wanted = PermissionSet(Permission.WRITE, PERM_ALL & ~Permission.RESIZE)
    assert driver.child_permissions("image", PERM_NONE, PERM_ALL) == wanted
    assert driver.exact_filename is None
    assert (
        asyncio.run(open_filter(MemoryFile(), take_child_perms=["write"])).exact_filename == "blkdebug::file"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"align": 3}, "Cannot meet constraints with align 3"),
        ({"align": -1}, "Value '-1' is out of range for parameter 'align'"),
        ({"align": 1 << 31}, "Cannot meet constraints with align 2147483648"),
        ({"align": 2, "max_transfer": 3}, "Cannot meet constraints with max-transfer 3"),
        ({"align": 2, "opt_write_zero": 3}, "Cannot meet constraints with opt-write-zero 3"),
        ({"align": 2, "max_write_zero": 3}, "Cannot meet constraints with max-write-zero 3"),
        ({"align": 2, "opt_discard": 3}, "Cannot meet constraints with opt-discard 3"),
        ({"max_discard": 3, "opt_discard": 4}, "Cannot meet constraints with max-discard 3"),
        ({"config": "nofile"}, "Could not open 'nofile': No such file or directory"),
    ],
)
def test_options_without_sense_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(QMPError) as caught:
        asyncio.run(open_filter(MemoryFile(), **options))
    assert caught.value.description == text


def test_a_configuration_file_has_rules_too(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_text(
        '# comment\n[inject-error]\nevent = "read_aio"\nerrno = "28"\nsector = "2"\nonce = "on"\n\n'
        '[set-state "named"]\nevent = "write_aio"\nstate = "1"\nnew_state = "0x2"\n'
    )
    (injection,), (transition,) = read_config(str(path))
    assert (injection.event, injection.errno, injection.offset, injection.once) == (
        "read_aio",
        28,
        1024,
        True,
    )
    assert (transition.event, transition.state, transition.new_state) == ("write_aio", 1, 2)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("x", "no group defined"),
        ('event = "a"', "no group defined"),
        ("[foo]", "There is no option group 'foo'"),
        ('[inject-error]\nevent = "nope"', "invalid parameter value: nope"),
        ('[inject-error]\nerrno = "5"', "Missing event name for rule"),
        ('[inject-error]\nbad = "5"', "Invalid parameter 'bad'"),
        ('[inject-error]\nerrno = "x"', "Parameter 'errno' expects a number"),
        ('[inject-error]\nsector = "1k"', "Parameter 'sector' expects a number"),
        ("[inject-error]\nevent = read_aio", "invalid parameter value: "),
        ('[inject-error]\niotype = "nope"', "invalid parameter value: nope"),
        ('[inject-error]\nimmediately = "maybe"', "Parameter 'immediately' expects 'on' or 'off'"),
        ("[inject-error]\nnonsense", "parse error"),
    ],
)
def test_a_configuration_file_that_makes_no_sense_is_refused(tmp_path: Path, content: str, text: str) -> None:
    path = tmp_path / "rules"
    path.write_text(content + "\n")
    with pytest.raises(QMPError) as caught:
        read_config(str(path))
    assert caught.value.description == text
