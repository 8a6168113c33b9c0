"""The corners of the graph, beside real QEMU: odd names, circles, filters above and below, jobs side by side."""

from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import Step, duel, step
from tests.images import make_qcow2, qemu_io


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a chain of four, named a to d, d on top, each with data of its own."""
    folder = tmp_path_factory.mktemp("images")
    below: dict[str, str] = {}
    for name, command in (
        ("a", "write -P 1 0 12M"),
        ("b", "write -P 2 0 10M"),
        ("c", "write -P 3 1M 8M"),
        ("d", "write -P 4 10M 64k"),
    ):
        path = make_qcow2(folder / f"{name}.qcow2", "12M", **below)
        qemu_io(path, command)
        below = {"backing_file": f"{name}.qcow2", "backing_fmt": "qcow2"}
    return folder


def _add(name: str, image: str, backing: Any = None, **options: Any) -> Step:
    file = {"driver": "file", "filename": f"{image}.qcow2", "node-name": f"{name}-file"}
    above = {} if backing is None else {"backing": backing}
    return step("blockdev-add", driver="qcow2", node_name=name, file=file, **above, **options)


def _inner(name: str, image: str, backing: Any) -> dict[str, Any]:
    file = {"driver": "file", "filename": f"{image}.qcow2"}
    return {"driver": "qcow2", "node-name": name, "file": file, "backing": backing}


def _filter(name: str, file: str) -> Step:
    return step("blockdev-add", driver="copy-on-read", node_name=name, file=file)


def _delete(*names: str) -> list[Step]:
    return [step("blockdev-del", node_name=name) for name in names]


def _stream(device: str, job_id: str = "j", until: str | None = "STATUS=null", **arguments: Any) -> Step:
    return step("block-stream", until, job_id=job_id, device=device, **arguments)


def _begin(device: str, job_id: str = "j", **arguments: Any) -> Step:
    return _stream(device, job_id, None, speed=1, **arguments)


def _let_end(job_id: str) -> Step:
    return step("block-job-set-speed", "STATUS=null", device=job_id, speed=0)


def _cancel(job_id: str) -> Step:
    return step("block-job-cancel", "STATUS=null", device=job_id)


CHAIN = [_add("a", "a"), _add("b", "b", "a"), _add("c", "c", "b"), _add("d", "d", "c")]
FILTERED = [_add("a", "a"), _add("b", "b", "a"), _filter("f", "b"), _add("c", "c", "f"), _add("d", "d", "c")]
NODES = step("query-named-block-nodes", flat=True)

ROWS: dict[str, list[Step]] = {
    "job ids": [
        *CHAIN,
        *(_stream("d", job_id) for job_id in ("", "1a", "a b", "#a", "é", "a/b")),
        step("block-stream", device="d"),
        _begin("d", "x" * 300),
        _begin("b", "x" * 300),
        _cancel("x" * 300),
    ],
    "filter names": [
        *CHAIN,
        *(_begin("d", filter_node_name=name) for name in ("d", "", "#f", "x" * 32)),
        _begin("d", filter_node_name="j"),
        _cancel("j"),
    ],
    "node names": [
        step("blockdev-add", driver="null-co", node_name=name)
        for name in ("n" * 31, "n" * 32, "", "#a", "1", "a.b-c_d", "a b", "A")
    ],
    "references to nobody and in a circle": [
        _add("d", "d", "nobody"),
        _add("d", "d", _inner("c", "c", "nobody")),
        _add("d", "d", "d"),
        _add("d", "d", _inner("c", "c", "d")),
        _add("d", "d", _inner("c", "c", _inner("b", "b", "c"))),
        _add("d", "d", "d-file"),
        *_delete("d"),
    ],
    "a filter as device": [
        *CHAIN,
        _filter("f", "d"),
        _stream("f", bottom="c"),
        _begin("f", base_node="a"),
        _stream("d", "k"),
        *_delete("f"),
        _let_end("j"),
        _stream("f", base_node="d"),
        *_delete("f", "d", "c", "b", "a"),
    ],
    "two filters as device": [
        *CHAIN,
        _filter("f", "d"),
        _filter("g", "f"),
        _stream("g", base_node="f"),
        _begin("g", base_node="b"),
        *_delete("g", "f"),
        NODES,
        _let_end("j"),
        NODES,
    ],
    "a filter as bottom, then as base": [
        *FILTERED,
        _stream("d", bottom="f"),
        _stream("d", base_node="f"),
        *_delete("c", "f", "b"),
    ],
    "a filter right above the base": [*FILTERED, _stream("d", base_node="b"), *_delete("c", "f", "b", "d")],
    "a filter in the middle": [
        *FILTERED,
        _begin("d", base_node="a"),
        *_delete("f"),
        *(_stream(name, "k") for name in "fbca"),
        _let_end("j"),
        *_delete("f", "d", "a"),
    ],
    "two jobs in one chain, the lower first": [
        *CHAIN,
        _begin("b", "low"),
        _stream("d", "up", base_node="b"),
        _begin("d", "up", bottom="c"),
        _let_end("low"),
        NODES,
        _let_end("up"),
        NODES,
    ],
    "two jobs in one chain, the upper first": [
        *CHAIN,
        _begin("d", "up", bottom="c"),
        _begin("b", "low"),
        _let_end("up"),
        NODES,
        _let_end("low"),
        NODES,
    ],
    "two jobs in one chain, both called off": [
        *CHAIN,
        _begin("b", "low"),
        _begin("d", "up", bottom="c"),
        _cancel("low"),
        _cancel("up"),
        NODES,
    ],
    "a base with two overlays": [
        _add("a", "a"),
        _add("b", "b", "a"),
        _add("x", "c", "b"),
        _begin("x"),
        _add("y", "d", "b"),
        _stream("y", "k"),
        step("blockdev-add", driver="raw", node_name="r", file="x"),
        step("blockdev-add", driver="raw", node_name="s", file="b", read_only=True),
        *_delete("r", "s", "y", "b"),
        _let_end("j"),
        *_delete("x", "b", "a"),
    ],
}


def _without_drains(part: Any) -> Any:
    """Leave out the short pauses by which QEMU drains jobs when the graph changes, and how far they get by it.

    Of nodes, show their place.
    """
    match part:
        case {"return": [*nodes]}:
            return [
                {name: node.get(name) for name in ("node-name", "file", "backing_file")} for node in nodes
            ]
        case [*events]:
            return [
                {**event, "data": {name: value for name, value in event["data"].items() if name != "offset"}}
                for event in events
                if event["data"].get("status") not in {"paused", "running"}
            ]
    return part


@pytest.mark.parametrize("row", ROWS)
def test_a_corner_of_the_graph_looks_as_in_qemu(tmp_path: Path, images: Path, row: str) -> None:
    duel(tmp_path, images, ROWS[row]).assert_alike(_without_drains)
