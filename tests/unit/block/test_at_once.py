"""What needs no waiting is stored at once; whatever is out of the ordinary is left alone."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from qmpserver.block.write_threshold import WriteThreshold
from qmpserver.drivers.file import in_place
from qmpserver.drivers.file.space import file_system_magic
from tests.images import make_qcow2
from tests.unit.block.conftest import Engine

REAL = {
    "file": "qmpserver.drivers.file.driver:FileDriver",
    "raw": "qmpserver.drivers.raw:RawDriver",
    "qcow2": "qmpserver.drivers.qcow2.driver:Qcow2Driver",
}
CLUSTER = 65536
DATA = memoryview(b"x" * 4096)

Body = Callable[[Any], Coroutine[Any, Any, None]]


def on_qcow2(folder: Path, monkeypatch: pytest.MonkeyPatch, body: Body, **options: Any) -> None:
    """Run `body` with a node of which the first two clusters are there, and no others."""
    path = folder / "image"
    make_qcow2(path, "1M")
    with path.open("rb") as file:
        monkeypatch.setattr(in_place, "_LOCAL", frozenset((file_system_magic(file.fileno()),)))

    async def main() -> None:
        engine = Engine(REAL)
        file = {"driver": "file", "filename": str(path)}
        node = await engine.opener.open({"driver": "qcow2", "node-name": "n", "file": file, **options})
        await node.pwrite(0, memoryview(b"o" * 2 * CLUSTER))
        await body(node)
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
        assert node.pwrite_at_once(4096, DATA)
        assert await content(node, 4096) == DATA
        assert await content(node, 0) == await content(node, 8192) == b"o" * 4096
        await node.flush()
        assert node._flushed_generation > flushed

    on_qcow2(tmp_path, monkeypatch, body)


def test_what_needs_room_or_lies_in_two_clusters_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(node: Any) -> None:
        assert not node.pwrite_at_once(4 * CLUSTER, DATA)
        assert await content(node, 4 * CLUSTER) == bytes(4096)
        assert not node.pwrite_at_once(CLUSTER - 2048, DATA)
        assert await content(node, CLUSTER - 2048) == b"o" * 4096

    on_qcow2(tmp_path, monkeypatch, body)


def test_who_is_held_still_or_has_to_wait_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(node: Any) -> None:
        async with node.drained():
            assert not node.pwrite_at_once(0, DATA)
        request = node.requests.begin_serialising(0, CLUSTER)
        assert not node.pwrite_at_once(0, DATA)
        node.requests.end(request)
        assert await content(node, 0) == b"o" * 4096
        assert node.pwrite_at_once(0, DATA)

    on_qcow2(tmp_path, monkeypatch, body)


def test_a_write_that_somebody_wants_to_be_told_of_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(node: Any) -> None:
        told: list[tuple[object, ...]] = []
        node.write_threshold = WriteThreshold(4096, lambda *what: told.append(what))
        assert not node.pwrite_at_once(4096, DATA)
        await node.pwrite(4096, DATA)
        assert len(told) == 1
        assert node.pwrite_at_once(4096, DATA)

    on_qcow2(tmp_path, monkeypatch, body)


@pytest.mark.parametrize("change", [{"read_only": True}, {"active": False}, {"detect_zeroes": "on"}])
def test_flags_that_forbid_or_change_a_write_are_heeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    async def body(node: Any) -> None:
        ((name, value),) = change.items()
        before = getattr(node.flags, name)
        setattr(node.flags, name, value)
        assert not node.pwrite_at_once(0, DATA)
        setattr(node.flags, name, before)
        assert await content(node, 0) == b"o" * 4096

    on_qcow2(tmp_path, monkeypatch, body)


def test_what_is_there_is_read_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(node: Any) -> None:
        into = memoryview(bytearray(4096))
        await node.pwrite(4096, DATA)
        assert node.pread_at_once(4096, into)
        assert into == DATA
        assert not node.pread_at_once(4 * CLUSTER, into)
        assert not node.pread_at_once(CLUSTER - 2048, into)

    on_qcow2(tmp_path, monkeypatch, body)


def test_a_read_waits_for_who_holds_the_node_still_and_for_a_cluster_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(node: Any) -> None:
        into = memoryview(bytearray(4096))
        async with node.drained():
            assert not node.pread_at_once(0, into)
        request = node.requests.begin_serialising(0, CLUSTER)
        assert not node.pread_at_once(0, into)
        node.requests.end(request)
        assert node.pread_at_once(0, into)

    on_qcow2(tmp_path, monkeypatch, body)
