"""Image locks against the real tools: they refuse what we hold, and we refuse what they hold."""

import asyncio
import contextlib
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.drivers.file.driver import FileDriver
from qmpserver.errors import NodeInUse
from tests.peers import need
from tests.unit.drivers.file.context import FileContext

READ, WRITE, RESIZE = Permission.CONSISTENT_READ, Permission.WRITE, Permission.RESIZE
UNCHANGED = Permission.WRITE_UNCHANGED

FORMAT_WRITER = PermissionSet(READ | WRITE | RESIZE, READ | UNCHANGED)
"""What a writable format node holds of its file."""
FORMAT_READER = PermissionSet(READ, READ | UNCHANGED)
"""What a read-only format node holds of its file."""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.qcow2"
    subprocess.run([need("qemu-img"), "create", "-q", "-f", "qcow2", str(path), "1M"], check=True)
    return path


@contextlib.asynccontextmanager
async def held(image: Path, permissions: PermissionSet, **given: Any) -> AsyncIterator[FileDriver]:
    """Hold the image as a node of ours."""
    driver = await FileDriver.open(FileContext(str(image), **given))
    try:
        await driver.prepare_permissions(permissions)
        driver.commit_permissions()
        yield driver
    finally:
        await driver.close()


@contextlib.contextmanager
def held_by_daemon(image: Path, *, read_only: bool) -> Iterator[None]:
    """Hold the image as a format node of QEMU's storage daemon."""
    blockdev = (
        f"qcow2,node-name=n,read-only={'on' if read_only else 'off'},file.driver=file,file.filename={image}"
    )
    monitor = ("--chardev", "stdio,id=c", "--monitor", "chardev=c")
    command = [need("qemu-storage-daemon"), "--blockdev", blockdev, *monitor]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        # Options are carried out in order: it greets when the image is open.
        assert b"QMP" in daemon.stdout.readline()
        try:
            yield
        finally:
            daemon.terminate()


def run_tool(tool: str, *arguments: str) -> str:
    """Run one of QEMU's tools and return what it complains of; nothing when it succeeds."""
    done = subprocess.run([need(tool), *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is not bool(done.stderr)
    return done.stderr


READING = ("qemu-img", "info")
WRITING = ("qemu-io", "-c", "write 0 512")
FORCED = ("qemu-img", "info", "-U")


@pytest.mark.parametrize(
    ("permissions", "tool", "complaint"),
    [
        (FORMAT_WRITER, READING, 'Failed to get shared "write" lock'),
        (FORMAT_WRITER, WRITING, 'Failed to get "write" lock'),
        (FORMAT_WRITER, FORCED, None),
        (FORMAT_READER, READING, None),
        (FORMAT_READER, WRITING, 'Failed to get "write" lock'),
        (FORMAT_READER, FORCED, None),
        (PermissionSet(READ, PERM_ALL), WRITING, None),
    ],
)
def test_real_tools_refuse_what_we_hold(
    image: Path, permissions: PermissionSet, tool: tuple[str, ...], complaint: str | None
) -> None:
    async def main() -> str:
        async with held(image, permissions):
            return await asyncio.to_thread(run_tool, *tool, str(image))

    complained = asyncio.run(main())
    if complaint is None:
        assert complained == ""
    else:
        assert complaint in complained
        assert f"Is another process using the image [{image}]?" in complained


@pytest.mark.parametrize("locking", ["off", "auto", "on"])
def test_real_tools_see_only_locks_that_were_asked_for(image: Path, locking: str) -> None:
    async def main() -> str:
        async with held(image, FORMAT_WRITER, locking=locking):
            return await asyncio.to_thread(run_tool, *WRITING, str(image))

    assert bool(asyncio.run(main())) is (locking != "off")


@pytest.mark.parametrize(
    ("daemon_reads", "permissions", "complaint"),
    [
        (False, FORMAT_WRITER, 'Failed to get "write" lock'),
        (False, FORMAT_READER, 'Failed to get shared "write" lock'),
        (False, PermissionSet(READ, PERM_ALL), None),
        (True, FORMAT_WRITER, 'Failed to get "write" lock'),
        (True, FORMAT_READER, None),
    ],
)
def test_we_refuse_what_the_daemon_holds(
    image: Path, daemon_reads: bool, permissions: PermissionSet, complaint: str | None
) -> None:
    async def main() -> None:
        async with held(image, permissions):
            pass

    with held_by_daemon(image, read_only=daemon_reads):
        if complaint is None:
            asyncio.run(main())
        else:
            with pytest.raises(NodeInUse, match=re.escape(complaint)):
                asyncio.run(main())
    asyncio.run(main())


def test_an_image_is_free_again_when_its_last_user_lets_go(image: Path) -> None:
    async def main() -> None:
        async with held(image, FORMAT_WRITER, auto_read_only=True) as driver:
            assert await asyncio.to_thread(run_tool, *READING, str(image))
            await driver.prepare_permissions(FORMAT_READER)
            driver.commit_permissions()
            assert not await asyncio.to_thread(run_tool, *READING, str(image))
            await driver.prepare_permissions(FORMAT_WRITER)
            driver.abort_permissions()
            assert not await asyncio.to_thread(run_tool, *READING, str(image))
        assert not await asyncio.to_thread(run_tool, *WRITING, str(image))

    asyncio.run(main())


def test_the_locked_bytes_are_the_daemons(image: Path) -> None:
    def locked() -> set[tuple[str, str]]:
        number = f":{image.stat().st_ino}"
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        return {(line[3], at) for line in lines if line[5].endswith(number) for at in _offsets(*line[6:8])}

    async def ours() -> set[tuple[str, str]]:
        async with held(image, FORMAT_WRITER):
            return locked()

    with held_by_daemon(image, read_only=False):
        theirs = locked()
    assert theirs
    assert asyncio.run(ours()) == theirs


def _offsets(start: str, end: str) -> list[str]:
    return [str(offset) for offset in range(int(start), int(end) + 1)]
