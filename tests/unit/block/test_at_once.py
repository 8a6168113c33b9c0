"""What needs no waiting is stored at once; whatever is out of the ordinary is left alone."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from qmpserver.block import at_once
from qmpserver.block.write_threshold import WriteThreshold
from qmpserver.drivers.file import in_place
from qmpserver.drivers.file.space import file_system_magic
from tests.images import judge, make_qcow2, qemu_check
from tests.unit.block.conftest import Engine

REAL = {
    "file": "qmpserver.drivers.file.driver:FileDriver",
    "raw": "qmpserver.drivers.raw:RawDriver",
    "qcow2": "qmpserver.drivers.qcow2.driver:Qcow2Driver",
}
CLUSTER = 65536
DATA = memoryview(b"x" * 4096)

Body = Callable[[Any], Coroutine[Any, Any, None]]


def on_qcow2(
    folder: Path, monkeypatch: pytest.MonkeyPatch, body: Body, *, is_there: bool = False, **options: Any
) -> None:
    """Run `body` with a node of which the first two clusters are there, and no others; in a new image, if none is there."""
    path = folder / "image"
    if not is_there:
        make_qcow2(path, "1M")
    with path.open("rb") as file:
        monkeypatch.setattr(in_place, "_LOCAL", frozenset((file_system_magic(file.fileno()),)))

    async def main() -> None:
        engine = Engine(REAL)
        file = {"driver": "file", "filename": str(path)}
        node = await engine.opener.open({"driver": "qcow2", "node-name": "n", "file": file, **options})
        await node.pwrite(0, memoryview(b"o" * 2 * CLUSTER))
        await body(node)
        node.is_monitor_owned = False
        await engine.graph.collect(node)

    asyncio.run(main())


async def content(node: Any, offset: int) -> bytes:
    into = bytearray(len(DATA))
    await node.pread(offset, memoryview(into))
    return bytes(into)


def test_what_is_there_is_overwritten_and_has_to_be_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(node: Any) -> None:
        await node.flush()
        flushed = node._flushed_generation
        assert at_once.write(node, 4096, DATA)
        assert await content(node, 4096) == DATA
        assert await content(node, 0) == await content(node, 8192) == b"o" * 4096
        await node.flush()
        assert node._flushed_generation > flushed

    on_qcow2(tmp_path, monkeypatch, body)


def test_what_needs_room_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(node: Any) -> None:
        assert not at_once.write(node, 4 * CLUSTER, memoryview(b"x" * (CLUSTER // 2)))
        assert await content(node, 4 * CLUSTER) == bytes(4096)
        assert not at_once.write(node, 2 * CLUSTER - 2048, DATA)
        assert await content(node, 2 * CLUSTER - 2048) == b"o" * 2048 + bytes(2048)

    on_qcow2(tmp_path, monkeypatch, body)


def test_what_begins_to_fill_a_new_cluster_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(node: Any) -> None:
        for offset in (4 * CLUSTER + 8192, 9 * CLUSTER, 7 * CLUSTER + 100, 9 * CLUSTER + 4096):
            assert at_once.write(node, offset, DATA)
        assert await content(node, 9 * CLUSTER) == await content(node, 9 * CLUSTER + 4096) == DATA
        assert await content(node, 4 * CLUSTER + 8192) == await content(node, 7 * CLUSTER + 100) == DATA
        assert await content(node, 4 * CLUSTER) == await content(node, 7 * CLUSTER + 8192) == bytes(4096)

    on_qcow2(tmp_path, monkeypatch, body)
    path = tmp_path / "image"
    assert judge(path.read_bytes()) == ([], 0)
    assert qemu_check(path) == {}
    assert_trimmed(path)


def assert_trimmed(path: Path) -> None:
    """See that a file ends with its last cluster, and keeps no room behind it."""
    status = path.stat()
    assert status.st_size % CLUSTER == 0
    assert status.st_blocks * 512 <= status.st_size


def test_no_room_is_kept_behind_an_image_that_is_not_written_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(node: Any) -> None:
        assert at_once.write(node, 4 * CLUSTER, DATA)
        assert (tmp_path / "image").stat().st_size % CLUSTER
        async with node.drained():
            await node.driver.prepare_reopen(read_only=True, options={})
            await node.driver.commit_reopen()
        assert_trimmed(tmp_path / "image")
        assert await content(node, 4 * CLUSTER) == DATA

    on_qcow2(tmp_path, monkeypatch, body)


def test_a_cluster_that_may_not_be_blank_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(node: Any) -> None:
        await node.pdiscard(0, CLUSTER)
        for _ in range(2):
            await node.flush()
        # Its room is used again, in which something was stored.
        assert not at_once.write(node, 4 * CLUSTER, DATA)

    on_qcow2(tmp_path, monkeypatch, body, discard="unmap")


def test_what_the_file_holds_behind_the_image_does_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_qcow2(tmp_path / "image", "1M")
    with (tmp_path / "image").open("ab") as file:
        file.write(b"g" * (4 * CLUSTER + 100))

    async def body(node: Any) -> None:
        assert not at_once.write(node, 4 * CLUSTER, DATA)
        await node.pwrite(4 * CLUSTER, DATA)
        assert await content(node, 4 * CLUSTER) == DATA
        assert await content(node, 4 * CLUSTER + 4096) == bytes(4096)

    on_qcow2(tmp_path, monkeypatch, body, is_there=True)


def test_clusters_over_a_backing_file_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_qcow2(tmp_path / "base", "1M")

    async def body(node: Any) -> None:
        assert not at_once.write(node, 4 * CLUSTER, DATA)

    on_qcow2(
        tmp_path,
        monkeypatch,
        body,
        backing={"driver": "qcow2", "file": {"driver": "file", "filename": str(tmp_path / "base")}},
    )


def test_clusters_side_by_side_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(node: Any) -> None:
        assert at_once.write(node, CLUSTER - 2048, DATA)
        assert await content(node, CLUSTER - 2048) == DATA

    on_qcow2(tmp_path, monkeypatch, body)


def test_who_is_held_still_or_has_to_wait_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(node: Any) -> None:
        async with node.drained():
            assert not at_once.write(node, 0, DATA)
        request = node.requests.begin_serialising(0, CLUSTER)
        assert not at_once.write(node, 0, DATA)
        node.requests.end(request)
        assert await content(node, 0) == b"o" * 4096
        assert at_once.write(node, 0, DATA)

    on_qcow2(tmp_path, monkeypatch, body)


def test_a_write_that_somebody_wants_to_be_told_of_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(node: Any) -> None:
        told: list[tuple[object, ...]] = []
        node.write_threshold = WriteThreshold(4096, lambda *what: told.append(what))
        assert not at_once.write(node, 4096, DATA)
        await node.pwrite(4096, DATA)
        assert len(told) == 1
        assert at_once.write(node, 4096, DATA)

    on_qcow2(tmp_path, monkeypatch, body)


@pytest.mark.parametrize("change", [{"read_only": True}, {"active": False}, {"detect_zeroes": "on"}])
def test_flags_that_forbid_or_change_a_write_are_heeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    async def body(node: Any) -> None:
        ((name, value),) = change.items()
        before = getattr(node.flags, name)
        setattr(node.flags, name, value)
        assert not at_once.write(node, 0, DATA)
        setattr(node.flags, name, before)
        assert await content(node, 0) == b"o" * 4096

    on_qcow2(tmp_path, monkeypatch, body)


def test_what_is_there_is_read_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(node: Any) -> None:
        into = memoryview(bytearray(4096))
        await node.pwrite(4096, DATA)
        assert at_once.read(node, 4096, into)
        assert into == DATA
        assert not at_once.read(node, 4 * CLUSTER, into)
        assert not at_once.read(node, 2 * CLUSTER - 2048, into)

    on_qcow2(tmp_path, monkeypatch, body)


def test_a_read_waits_for_who_holds_the_node_still_and_for_a_cluster_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(node: Any) -> None:
        into = memoryview(bytearray(4096))
        async with node.drained():
            assert not at_once.read(node, 0, into)
        request = node.requests.begin_serialising(0, CLUSTER)
        assert not at_once.read(node, 0, into)
        node.requests.end(request)
        assert at_once.read(node, 0, into)

    on_qcow2(tmp_path, monkeypatch, body)
