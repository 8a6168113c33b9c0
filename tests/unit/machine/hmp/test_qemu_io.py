"""Requests that are made by hand go the way of the device's."""

import pytest

from tests.unit.machine.devices.machines import waits
from tests.unit.machine.hmp.human import Person, person

FAILING = {
    "image": {"driver": "null-co", "size": 1 << 20, "read-zeroes": True},
    "inject_error": [{"event": "none", "iotype": "write", "once": True, "errno": 28}],
}


async def disk(somebody: Person, **properties: str) -> None:
    await somebody.device(driver="virtio-scsi-pci")
    await somebody.device(driver="scsi-hd", id="hd", drive="n", **properties)


@waits
async def test_requests_are_counted_and_reported_on_standard_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with person() as somebody:
        await somebody.node("n")
        await disk(somebody)
        assert await somebody.type('qemu-io -d hd "write -P 7 0 4k"') == ""
        assert capsys.readouterr().out.startswith("wrote 4096/4096 bytes at offset 0\n4 KiB, 1 ops;")
        stats = (await somebody.server.execute("query-blockstats"))[0]["stats"]
        assert (stats["wr_bytes"], stats["wr_operations"]) == (4096, 1)


@waits
async def test_a_request_that_stops_the_machine_goes_on_when_it_runs_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with person() as somebody:
        await somebody.node("n", "blkdebug", **FAILING)
        await disk(somebody, werror="stop", rerror="report")
        await somebody.type("cont")
        assert await somebody.type('qemu-io -d hd "write 0 4k"') == ""
        assert capsys.readouterr().out == ""
        assert await somebody.type("info status") == "VM status: paused (io-error)\n"
        assert "    I/O status:       nospace\n" in await somebody.type("info block")
        somebody.events.clear()
        await somebody.type("cont")
        await somebody.type('qemu-io -d hd "aio_flush"')
        assert capsys.readouterr().out.startswith("wrote 4096/4096 bytes")
        assert somebody.events == ["RESUME"]


@waits
async def test_an_error_that_is_reported_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    async with person() as somebody:
        await somebody.node("n", "blkdebug", **FAILING)
        await disk(somebody, werror="report")
        assert await somebody.type('qemu-io -d hd "write 0 4k"') == ""
        assert capsys.readouterr().out == "write failed: No space left on device\n"
        assert "BLOCK_IO_ERROR" in somebody.events


@waits
async def test_what_a_drive_holds_is_what_it_held_before() -> None:
    async with person() as somebody:
        await somebody.type("drive_add 0 if=none,id=named,driver=null-co,read-zeroes=on")
        drive = somebody.machine.drives.find(device="named")
        before = drive.backend.held
        await somebody.type('qemu-io named "write 0 512"')
        await somebody.type('qemu-io named "truncate 1M"')
        assert drive.backend.held == before


@waits
async def test_a_node_is_free_again_when_its_requests_have_ended(capsys: pytest.CaptureFixture[str]) -> None:
    async with person() as somebody:
        await somebody.node("n")
        assert await somebody.type('qemu-io n "aio_write 0 4k"') == ""
        assert capsys.readouterr().out.startswith("wrote 4096/4096")
        await somebody.server.execute("blockdev-del", {"node-name": "n"})
