"""Changes to open nodes and to the graph beside real QEMU: reopening, overlays, backing names, activation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import Step, duel, step
from tests.images import make_qcow2, qemu_io
from tests.peers import peer_version

SINCE_10 = (10, 0)
GRAPH = step("x-debug-query-block-graph")
NODES = step("query-named-block-nodes", flat=True)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make b over a, d and e with nothing below, a smaller one, o over a raw one, and raw ones."""
    folder = tmp_path_factory.mktemp("images")
    make_qcow2(folder / "a.qcow2", "16M")
    make_qcow2(folder / "b.qcow2", "16M", backing_file="a.qcow2", backing_fmt="qcow2")
    qemu_io(folder / "b.qcow2", "write -P 2 0 16M")
    make_qcow2(folder / "c.qcow2", "16M", backing_file="b.qcow2", backing_fmt="qcow2")
    for name in ("d", "e"):
        make_qcow2(folder / f"{name}.qcow2", "1M")
    make_qcow2(folder / "small.qcow2", "512k")
    for name in ("r", "s"):
        (folder / f"{name}.raw").write_bytes(bytes(1 << 20))
    return folder


def _file(name: str, **options: Any) -> dict[str, Any]:
    return {"driver": "file", "filename": f"{name}.qcow2", "node-name": f"f{name}", **options}


def _add(name: str, **options: Any) -> Step:
    wanted = {"driver": "qcow2", "node_name": name, "file": _file(name), **options}
    return step("blockdev-add", **wanted)


def _qcow2(name: str, **options: Any) -> dict[str, Any]:
    given = {key.replace("_", "-"): value for key, value in options.items()}
    return {"driver": "qcow2", "node-name": name, "file": f"f{name}", **given}


def _raw(name: str, **options: Any) -> dict[str, Any]:
    return {"driver": "raw", "node-name": name, **options}


def _reopen(*options: dict[str, Any]) -> Step:
    return step("blockdev-reopen", options=list(options))


def _overlay(node: str, overlay: str) -> Step:
    return step("blockdev-snapshot", node=node, overlay=overlay)


def _sync(node: str, file: str, name: str | None = "n", **options: Any) -> Step:
    named = {} if name is None else {"snapshot_node_name": name}
    return step("blockdev-snapshot-sync", node_name=node, snapshot_file=file, **named, **options)


CHAIN = [_add("c", backing=_qcow2("b") | {"file": _file("b"), "backing": _qcow2("a") | {"file": _file("a")}})]

REOPENING = {
    "what is no node, or another": [
        _add("a"),
        _reopen({"driver": "qcow2", "file": "fa"}),
        _reopen(_qcow2("zz")),
        _reopen(_qcow2("a"), _qcow2("a")),
        _reopen(_raw("a", file="fa")),
        _reopen(_qcow2("a", file={"driver": "file", "filename": "b.qcow2"})),
    ],
    "read-only and back, with what inherits it": [
        *CHAIN,
        _reopen(_qcow2("c", backing="b", read_only=True)),
        NODES,
        _reopen(_qcow2("c", backing="b")),
        _reopen(_qcow2("c", backing="b", read_only=False)),
        NODES,
        GRAPH,
    ],
    "cache modes are handed down, and kept where nothing is said": [
        *CHAIN,
        _reopen(_qcow2("c", backing="b", cache={"no-flush": True}, auto_read_only=True)),
        NODES,
        _reopen(_qcow2("c", backing="b") | {"file": {"driver": "file", "filename": "c.qcow2"}}),
        NODES,
        _reopen(_qcow2("c", backing=_qcow2("b") | {"backing": None})),
        NODES,
    ],
    "another backing node, or none": [
        _add("a"),
        _add("b", backing="a"),
        _add("d"),
        _reopen(_qcow2("b")),
        _reopen(_qcow2("b", backing=None)),
        _reopen(_qcow2("b", backing="d")),
        NODES,
        GRAPH,
        _reopen(_qcow2("b", backing="b")),
        _reopen(_qcow2("d", backing="b")),
        _reopen(_qcow2("b", backing="nope")),
        _reopen(_qcow2("b", backing="")),
        _reopen(_qcow2("b", backing={"driver": "null-co"})),
        _reopen(_qcow2("a", backing="d"), _qcow2("b", backing="a")),
        NODES,
        _reopen(_qcow2("a", backing=None), _qcow2("b", backing="nope")),
        NODES,
    ],
    "another file": [
        _add("d"),
        _add("e"),
        step("blockdev-add", driver="file", node_name="fr", filename="r.raw"),
        step("blockdev-add", driver="file", node_name="fs", filename="s.raw"),
        step("blockdev-add", driver="raw", node_name="r", file="fr"),
        _reopen(_qcow2("d", file="fe")),
        _reopen(_raw("r", file="fs")),
        _reopen(_raw("r", file="d", **{"read-only": True})),
        NODES,
        GRAPH,
        _reopen(_raw("r", file="r")),
        _reopen(_raw("r", file="nope")),
        _reopen(_raw("r", file="fr", size=2048)),
        _reopen(_raw("r", file="fr", size=511)),
        _reopen(_raw("r", file="fr", offset=1 << 30)),
        _reopen(_raw("r", file="fr", size=1 << 30)),
        _reopen(_raw("r", file="fr", offset=512)),
        NODES,
    ],
    "options that can be changed, and those that cannot": [
        _add("d", lazy_refcounts=True, discard="unmap"),
        _reopen(_qcow2("d", lazy_refcounts=False, detect_zeroes="unmap")),
        _reopen(_qcow2("d", overlap_check="all", cache_clean_interval=0, pass_discard_other=True)),
        _reopen(_qcow2("d", overlap_check={"template": "none", "main-header": True})),
        _reopen(_qcow2("d", l2_cache_size=1 << 20, cache_size=1)),
        _reopen(_qcow2("d", cache_clean_interval=-1)),
        _reopen(_qcow2("d", l2_cache_entry_size=7)),
        _reopen(_qcow2("d", force_share=True)),
        NODES,
        step("blockdev-add", driver="null-co", node_name="n", size=1 << 20),
        _reopen({"driver": "null-co", "node-name": "n"}),
        _reopen({"driver": "null-co", "node-name": "n", "size": 4096}),
        _reopen({"driver": "null-co", "node-name": "n", "size": 1 << 20, "latency-ns": 4}),
        step("blockdev-add", driver="copy-on-read", node_name="cor", file="n"),
        _reopen({"driver": "copy-on-read", "node-name": "cor", "file": "n"}),
        *(
            _reopen({"driver": "file", "node-name": "fd", "filename": "d.qcow2", **changed})
            for changed in (
                {"filename": "e.qcow2"},
                {"locking": "off"},
                {"aio": "native"},
                {"pr-manager": "x"},
                {"detect-zeroes": "unmap"},
                {"read-only": True},
                {"drop-cache": False},
                {},
            )
        ),
        NODES,
    ],
}

OVERLAYS = {
    "who may be an overlay of whom": [
        _add("a"),
        _add("b", backing=None),
        _add("d"),
        _add("small"),
        _overlay("nope", "b"),
        _overlay("a", "nope"),
        _overlay("a", "a"),
        _overlay("a", "fb"),
        _overlay("a", "b"),
        NODES,
        GRAPH,
        _overlay("a", "d"),
        _overlay("d", "b"),
        _overlay("small", "d"),
        NODES,
    ],
    "over a file, and over what is its own file": [
        _add("a"),
        _add("b", backing=None),
        _overlay("fa", "b"),
        NODES,
        GRAPH,
        _overlay("b", "a"),
        GRAPH,
    ],
    "below a filter, which only writes": [
        _add("d"),
        step("blockdev-add", driver="copy-on-read", node_name="cor", file="d"),
        _add("e"),
        step("blockdev-add", driver="copy-on-read", node_name="cor2", file="e"),
        _overlay("e", "d"),
        NODES,
        GRAPH,
    ],
    "images made for it": [
        _add("d", detect_zeroes="on"),
        step("blockdev-add", driver="copy-on-read", node_name="cor", file="d"),
        _sync("nope", "n.qcow2"),
        step("blockdev-snapshot-sync", device="d", snapshot_file="n.qcow2"),
        step("blockdev-snapshot-sync", snapshot_file="n.qcow2"),
        _sync("d", "n.qcow2", None),
        _sync("d", "n.qcow2", "d"),
        _sync("d", "n.qcow2", "1"),
        _sync("d", "n.qcow2", format="raw"),
        _sync("d", "n.qcow2", format="nope"),
        _sync("d", "nowhere/n.qcow2"),
        _sync("d", "n.qcow2"),
        NODES,
        GRAPH,
        _sync("d", "m.qcow2", "m"),
        _sync("n", "d.qcow2", "m"),
        _sync("n", "file:m.qcow2", "m"),
        NODES,
    ],
    "images that exist": [
        _add("d"),
        step("blockdev-add", driver="copy-on-read", node_name="cor", file="d"),
        _sync("d", "nope.qcow2", mode="existing"),
        _sync("d", "r.raw", mode="existing"),
        _sync("d", "r.raw", mode="existing", format="raw"),
        _sync("d", "e.qcow2", mode="existing", format="nope"),
        _sync("d", "e.qcow2", mode="existing"),
        NODES,
        _sync("n", "b.qcow2", "m", mode="existing"),
        NODES,
        GRAPH,
    ],
    "that nobody would use": [_add("d"), _sync("d", "n.qcow2"), NODES],
    "of what is read-only": [
        _add("d", read_only=True),
        step("blockdev-add", driver="raw", node_name="r", file="d", read_only=True),
        _sync("d", "n.qcow2"),
        NODES,
    ],
    "several in a transaction, or none": [
        _add("d"),
        _add("e"),
        _add("small"),
        step("blockdev-add", driver="copy-on-read", node_name="cor", file="d"),
        step(
            "transaction",
            actions=[
                {"type": "blockdev-snapshot", "data": {"node": "d", "overlay": "e"}},
                {"type": "blockdev-snapshot", "data": {"node": "small", "overlay": "nope"}},
            ],
        ),
        NODES,
        GRAPH,
        step(
            "transaction",
            actions=[
                {"type": "blockdev-snapshot", "data": {"node": "d", "overlay": "e"}},
                {
                    "type": "blockdev-snapshot-sync",
                    "data": {"node-name": "e", "snapshot-file": "n.qcow2", "snapshot-node-name": "n"},
                },
            ],
        ),
        NODES,
        GRAPH,
    ],
}


def _name(device: str, image: str, name: str) -> Step:
    return step("change-backing-file", device=device, image_node_name=image, backing_file=name)


OTHERS = {
    "the names of backing files": [
        *CHAIN,
        _add("d"),
        _name("c", "nope", "x"),
        _name("nope", "c", "x"),
        _name("fc", "c", "x"),
        _name("b", "c", "x"),
        _name("c", "a", "x"),
        _name("c", "fc", "x"),
        _name("d", "b", "x"),
        _name("c", "b", "./a.qcow2"),
        _name("c", "c", ""),
        NODES,
        _name("c", "c", "b.qcow2"),
        NODES,
    ],
    "thresholds": [
        _add("d"),
        step("block-set-write-threshold", node_name="nope", write_threshold=1),
        step("block-set-write-threshold", node_name="d", write_threshold=4096),
        NODES,
        step("block-set-write-threshold", node_name="d", write_threshold=0),
        NODES,
    ],
    "children of what has a fixed number": [
        *CHAIN,
        step("x-blockdev-change", parent="nope"),
        step("x-blockdev-change", parent="c"),
        step("x-blockdev-change", parent="c", child="file", node="a"),
        step("x-blockdev-change", parent="c", child="nope"),
        step("x-blockdev-change", parent="c", child="file"),
        step("x-blockdev-change", parent="c", node="nope"),
        step("x-blockdev-change", parent="c", node="fa"),
    ],
    "nothing changes what a job relies on": [
        *CHAIN,
        _add("d"),
        _add("e"),
        step("block-stream", job_id="j", device="c", base_node="a", speed=1),
        *(_overlay(node, "d") for node in "cb"),
        _sync("c", "n.qcow2"),
        _reopen(_qcow2("c", backing=None)),
        _reopen(_qcow2("c", backing="e")),
        _reopen(_qcow2("c", backing="b", read_only=True)),
        _name("c", "b", "x"),
        step("block-job-cancel", "STATUS=null", device="j"),
        _overlay("c", "d"),
        NODES,
    ],
}


def _activate(active: bool, node: str | None = None) -> Step:
    return step("blockdev-set-active", active=active, **({} if node is None else {"node_name": node}))


ACTIVATION = {
    "a node opened inactive, and taken up": [
        _add("c", active=False),
        NODES,
        GRAPH,
        step("blockdev-add", driver="raw", node_name="r", file="c"),
        step("blockdev-add", driver="raw", node_name="r", file="c", active=False),
        _activate(True, "nope"),
        _activate(True, "c"),
        NODES,
        GRAPH,
        _activate(True, "r"),
        _activate(False, "c"),
        _activate(False, "fc"),
        _activate(False, "r"),
        NODES,
        GRAPH,
        _activate(True),
        NODES,
        _activate(False),
        NODES,
        GRAPH,
    ],
    "what an inactive node is good for": [
        _add("d"),
        _add("e"),
        _activate(False, "d"),
        step("block-stream", job_id="j", device="d"),
        _reopen(_qcow2("d", read_only=True)),
        NODES,
        _reopen(_qcow2("d")),
        _activate(True, "d"),
        _reopen(_qcow2("d", read_only=False)),
        _activate(True, "d"),
        _activate(False, "d"),
        _activate(False, "e"),
        _overlay("d", "e"),
        NODES,
        GRAPH,
        step("blockdev-del", node_name="e"),
        step("blockdev-del", node_name="d"),
    ],
    "an overlay becomes as its node": [
        _add("d"),
        _activate(False, "d"),
        _add("e"),
        _overlay("d", "e"),
        NODES,
        GRAPH,
        _add("small"),
        _reopen(_qcow2("small", backing="e")),
        _sync("e", "n.qcow2"),
        NODES,
    ],
}


def _plain(part: Any) -> Any:
    """Leave out what depends on how a file came to be, and the pauses by which QEMU drains jobs."""
    match part:
        case {"return": [*nodes]}:
            return [{key: node.get(key) for key in _SHOWN} for node in nodes]
        case [*events]:
            return [_event(one) for one in events if one["data"].get("status") not in {"paused", "running"}]
    return part


_SHOWN = ("node-name", "drv", "file", "ro", "backing_file", "cache", "detect_zeroes", "write_threshold")
_SHOWN_SINCE_10 = (*_SHOWN, "active", "children")


def _plain_since_10(part: Any) -> Any:
    """Leave out less, of what only later versions show."""
    match part:
        case {"return": [*nodes]}:
            return [{key: node.get(key) for key in _SHOWN_SINCE_10} for node in nodes]
    return _plain(part)


def _event(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "data": {name: value for name, value in event["data"].items() if name != "offset"}}


def _one_after_another(rows: dict[str, list[Step]]) -> Iterator[Step]:
    """Play all rows on one daemon, which has to be rid of every node in between."""
    for steps in rows.values():
        yield from steps
        names = [one.arguments["node-name"] for one in steps if one.execute == "blockdev-add"]
        for _ in range(3):
            yield from (step("blockdev-del", node_name=name) for name in reversed(names))
        yield NODES


@pytest.mark.parametrize("rows", [REOPENING, OVERLAYS, OTHERS], ids=["reopening", "overlays", "others"])
def test_a_change_goes_as_in_qemu(tmp_path: Path, images: Path, rows: dict[str, list[Step]]) -> None:
    is_new = peer_version("qemu-storage-daemon") >= SINCE_10
    outcome = duel(tmp_path, images, list(_one_after_another(rows)))
    outcome.assert_alike(_plain_since_10 if is_new else _plain)


def test_activation_goes_as_in_qemu(tmp_path: Path, images: Path) -> None:
    if peer_version("qemu-storage-daemon") < SINCE_10:
        pytest.skip("this QEMU has no blockdev-set-active")
    steps = list(_one_after_another(ACTIVATION))
    duel(tmp_path, images, steps).assert_alike(_plain_since_10)
