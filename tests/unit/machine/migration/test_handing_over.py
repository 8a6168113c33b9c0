"""A machine passes from one process to another with its images, and one of the two has them at every moment."""

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from qmpserver.errors import QMPError
from tests.images import qemu_check
from tests.unit.machine.migration.pairs import SIZE, Pair, on_pair


@on_pair
async def test_what_was_written_is_read_on_the_other_side(pair: Pair) -> None:
    source, target = pair.source, pair.target
    await source.write(b"2", 65536, 65536)
    await target.do("migrate-incoming", uri=pair.uri)
    await source.do("migrate", uri=pair.uri)
    assert await source.until("completed") == ["setup", "active", "STOP", "device", "completed"]
    assert await target.until("completed") == ["setup", "active", "RESUME", "completed"]
    assert (await source.status(), await target.status()) == ("postmigrate", "running")
    assert (await source.active(), await target.active()) == ({False}, {True})
    assert await target.read() == b"1" * 65536 + b"2" * 65536 + b"1" * (SIZE - 2 * 65536)
    await target.write(b"3")
    await target.server.close()
    assert qemu_check(pair.folder / "disk.qcow2") == {}


@on_pair
async def test_a_file_keeps_a_machine_that_comes_back_later(pair: Pair) -> None:
    state = pair.folder / "state"
    await pair.source.do("stop")
    await pair.source.do("migrate", uri=f"file:{state},offset=0x1000")
    assert await pair.source.until("completed") == ["STOP", "setup", "active", "device", "completed"]
    assert state.read_bytes()[:0x1000] == bytes(0x1000)
    await pair.target.do("migrate-incoming", uri=f"file:{state},offset=0x1000")
    assert await pair.target.until("completed") == ["setup", "active", "completed"]
    assert (await pair.target.status(), await pair.target.active()) == ("paused", {False})
    await pair.target.do("blockdev-add", driver="null-co", node_name="new", size=SIZE)
    assert await pair.target.active() == {False, True}
    await pair.target.do("cont")
    assert (await pair.target.read(), await pair.target.active()) == (b"1" * SIZE, {True})


def _pipe() -> tuple[int, int]:
    return os.pipe()


def _sockets() -> tuple[int, int]:
    one, other = socket.socketpair()
    return one.detach(), other.detach()


@pytest.mark.parametrize("ends", [_pipe, _sockets])
def test_any_kind_of_descriptor_will_do(ends: object, tmp_path: Path) -> None:
    @on_pair
    async def test(pair: Pair) -> None:
        assert callable(ends)
        reading, writing = ends()
        await pair.target.do("migrate-incoming", uri=f"fd:{reading}")
        await pair.source.do("migrate", uri=f"fd:{writing}")
        await pair.source.until("completed")
        await pair.target.until("completed")
        assert await pair.target.status() == "running"
        for fd in (reading, writing):
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(fd)

    test(tmp_path)


@on_pair
async def test_a_descriptor_may_be_that_of_a_file(pair: Pair) -> None:
    state = pair.folder / "state"
    await pair.source.do("migrate", uri=f"fd:{os.open(state, os.O_WRONLY | os.O_CREAT)}")
    await pair.source.until("completed")
    assert stat.S_ISREG(state.stat().st_mode)
    await pair.target.do("migrate-incoming", uri=f"fd:{os.open(state, os.O_RDONLY)}")
    await pair.target.until("completed")


@on_pair
async def test_programs_carry_the_state(pair: Pair) -> None:
    state = pair.folder / "state"
    await pair.source.do("migrate", uri=f"exec:cat > {state}")
    await pair.source.until("completed")
    args = ["/bin/cat", str(state)]
    channel = {"channel-type": "main", "addr": {"transport": "exec", "args": args}}
    await pair.target.do("migrate-incoming", channels=[channel])
    await pair.target.until("completed")
    assert await pair.target.status() == "running"


@on_pair
async def test_a_tray_stays_as_it_is(pair: Pair) -> None:
    for side in (pair.source, pair.target):
        await side.machine.devices.add({"driver": "ide-cd", "id": "cd"}, at_start=True)
    await pair.source.do("blockdev-open-tray", id="cd")
    await pair.hand_over()
    assert pair.target.machine.drives.find(qdev_id="cd").is_tray_open


@on_pair
async def test_a_machine_waits_before_its_images_change_hands_if_told_to(pair: Pair) -> None:
    source = pair.source
    await source.switch("pause-before-switchover")
    await pair.target.do("migrate-incoming", uri=pair.uri)
    await source.do("migrate", uri=pair.uri)
    assert await source.until("pre-switchover") == ["setup", "active", "STOP", "pre-switchover"]
    assert (await source.status(), await source.active()) == ("finish-migrate", {True})
    with pytest.raises(QMPError, match=r"^Migration is not finalized yet$"):
        await source.do("cont")
    with pytest.raises(QMPError, match=r"^Migration not in expected state: pre-switchover$"):
        await source.do("migrate-continue", state="device")
    with pytest.raises(QMPError, match=r"^There's a migration process in progress$"):
        await source.do("migrate", uri="exec:cat")
    with pytest.raises(QMPError, match=r"^There's a migration process in progress$"):
        await source.switch("multifd")
    for change in ({"device_add": {"driver": "virtio-blk-pci"}}, {"device_del": {"id": "disk-device"}}):
        ((command, arguments),) = change.items()
        with pytest.raises(QMPError, match=f"^{command} not allowed while migrating$"):
            await source.do(command, **arguments)
    await source.do("migrate-continue", state="pre-switchover")
    await source.until("completed")
    await pair.target.until("completed")


@on_pair
async def test_a_machine_that_has_gone_may_be_had_back_while_nobody_else_has_its_images(pair: Pair) -> None:
    await pair.source.do("migrate", uri=f"file:{pair.folder / 'state'}")
    await pair.source.until("completed")
    with pytest.raises(QMPError, match="paused due to previous migration"):
        await pair.source.do("migrate", uri="exec:cat")
    await pair.source.do("cont")
    await pair.source.write(b"4")
    await pair.target.do("migrate-incoming", uri=f"file:{pair.folder / 'state'}")
    assert await pair.target.until("completed") == ["setup", "active", "completed"]
    assert (await pair.target.status(), await pair.source.status()) == ("paused", "running")
    with pytest.raises(QMPError, match=r'^Failed to get "write" lock'):
        await pair.target.do("cont")
    await pair.source.server.close()
    await pair.target.do("cont")
    assert await pair.target.read() == b"4" * SIZE


@on_pair
async def test_a_server_that_ends_while_it_waits_ends(pair: Pair) -> None:
    await pair.source.switch("pause-before-switchover")
    await pair.target.do("migrate-incoming", uri=pair.uri)
    await pair.source.do("migrate", uri=pair.uri)
    await pair.source.until("pre-switchover")
    await pair.source.server.close()
    assert pair.source.told == ["cancelling", "cancelled"]
    assert await pair.target.until("failed") == ["setup", "active", "failed"]
    assert len(pair.target.given_up) == 1


@on_pair
async def test_a_server_that_waits_for_a_machine_ends_when_told(pair: Pair) -> None:
    await pair.target.do("migrate-incoming", uri=pair.uri)
    await pair.target.server.close()
    assert not (pair.folder / "migration").exists()
    assert asyncio.all_tasks() == {asyncio.current_task()}
