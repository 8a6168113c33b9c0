"""A block device of the host is copied to as a file is, and nothing of what it held shows through."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.events import Event
from qmpserver.server import Server
from tests.images import qemu_img
from tests.loop_devices import loop_device

SIZE = 1 << 20
CONTENT = b"data" * 16384 + bytes(SIZE - 65536)
STALE = b"\xa5stale" * (SIZE // 3)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Do the work, which ends soon."""
    asyncio.run(asyncio.wait_for(work, 20))


async def copy(folder: Path, command: str, device: str, **arguments: object) -> None:
    """Copy a sparse image to a device by a job that names it by its path."""
    (folder / "source").write_bytes(CONTENT)
    file = {"driver": "file", "filename": str(folder / "source")}
    async with Server() as server:
        happened = {name: asyncio.Event() for name in ("BLOCK_JOB_READY", "BLOCK_JOB_COMPLETED")}

        def listen(event: Event) -> None:
            if event.name in happened:
                happened[event.name].set()

        server.daemon.events.subscribe(listen)
        await server.execute("blockdev-add", {"driver": "raw", "node-name": "s", "file": file})
        given = {"job-id": "j", "device": "s", "target": device, "sync": "full", **arguments}
        await server.execute(command, given)
        if command == "drive-mirror":
            await happened["BLOCK_JOB_READY"].wait()
            await server.execute("block-job-complete", {"device": "j"})
        await happened["BLOCK_JOB_COMPLETED"].wait()


@pytest.mark.parametrize("command", ["drive-mirror", "drive-backup"])
@pytest.mark.parametrize("mode", ["existing", "absolute-paths"])
def test_a_device_holds_the_copy_afterwards(tmp_path: Path, command: str, mode: str) -> None:
    with loop_device(tmp_path, STALE[:SIZE]) as device:
        run(copy(tmp_path, command, device, mode=mode, format="raw"))
        assert Path(device).read_bytes() == CONTENT


def test_a_new_image_on_a_device_is_sound_and_holds_the_copy(tmp_path: Path) -> None:
    with loop_device(tmp_path, STALE[: 2 * SIZE]) as device:
        run(copy(tmp_path, "drive-backup", device, format="qcow2"))
        qemu_img("check", device)
        qemu_img("compare", "-f", "raw", "-F", "qcow2", str(tmp_path / "source"), device)


def test_a_device_that_is_too_small_is_refused(tmp_path: Path) -> None:
    with loop_device(tmp_path, STALE[: SIZE // 2]) as device:
        with pytest.raises(QMPError, match="Cannot grow device files"):
            run(copy(tmp_path, "drive-backup", device, format="raw"))
        assert Path(device).read_bytes() == STALE[: SIZE // 2]
