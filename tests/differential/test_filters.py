"""Filters and quorum beside real QEMU: how they are opened, refused, shown, changed, and what they tell."""

from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import Step, duel, step
from tests.images import make_qcow2, qemu_img, qemu_io

SIZE = 256 << 10


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make raw files a, b and c, of which c differs from the others in one sector, a larger one, and overlays."""
    folder = tmp_path_factory.mktemp("images")
    for name in "abc":
        (folder / f"{name}.raw").write_bytes(b"x" * SIZE)
    with open(folder / "c.raw", "r+b") as file:
        file.seek(5 * 512)
        file.write(b"y" * 512)
    (folder / "large.raw").write_bytes(bytes(2 * SIZE))
    (folder / "log.raw").write_bytes(bytes(SIZE))
    (folder / "rules").write_text('[inject-error]\nevent = "none"\niotype = "read"\nsector = "300"\n')
    qemu_io(make_qcow2(folder / "image.qcow2", str(SIZE)), "write -P 1 0 64k")
    for number in range(len(READ)):
        make_qcow2(folder / f"top{number}.qcow2", str(SIZE))
    for name, backing, backing_format in (
        ("over", "image.qcow2", "qcow2"),
        ("faulty", "blkdebug:rules:a.raw", "raw"),
        ("compared", "blkverify:a.raw:b.raw", "raw"),
        ("unreadable", "blkdebug:a.raw", "raw"),
        ("alone", "blkverify:a.raw", "raw"),
    ):
        path = folder / f"{name}.qcow2"
        qemu_img("create", "-q", "-u", "-f", "qcow2", "-F", backing_format, "-b", backing, path, str(SIZE))
    return folder


def _file(name: str, **options: Any) -> dict[str, Any]:
    return {"driver": "file", "filename": name, "node-name": f"{name.partition('.')[0]}-file", **options}


def _add(driver: str, name: str = "n", **options: Any) -> Step:
    return step("blockdev-add", driver=driver, node_name=name, **options)


def _qcow2(name: str, file: Any, **options: Any) -> dict[str, Any]:
    return {"driver": "qcow2", "node-name": name, "file": file, **options}


def _delete(name: str = "n") -> Step:
    return step("blockdev-del", node_name=name)


NODES = step("query-named-block-nodes")
GRAPH = step("x-debug-query-block-graph")
A, B, C, LARGE, LOG = (_file(f"{name}.raw") for name in ("a", "b", "c", "large", "log"))
IMAGE = _qcow2("image", _file("image.qcow2"))
GROUP = step("object-add", qom_type="throttle-group", id="g", limits={"iops-total": 1000})
ZEROES = {"driver": "null-co", "read-zeroes": True}


def _quorum(name: str = "n", threshold: int = 2, children: Any = (A, B, C), **options: Any) -> Step:
    return _add("quorum", name, vote_threshold=threshold, children=list(children), **options)


def _reopen(**options: Any) -> Step:
    node = {name.replace("_", "-"): value for name, value in options.items()}
    return step("blockdev-reopen", options=[node])


def _change(**arguments: Any) -> Step:
    return step("x-blockdev-change", parent="n", **arguments)


FAULTY = {"driver": "blkdebug", "config": "rules", "image": A}
# Reports of one node are a second apart, so that each has a node of its own.
READ: list[dict[str, Any]] = [
    {"driver": "quorum", "vote-threshold": 2, "children": [A, B]},
    {"driver": "quorum", "vote-threshold": 2, "children": [A, B, C]},
    {"driver": "quorum", "vote-threshold": 2, "children": [A, C]},
    {"driver": "quorum", "vote-threshold": 1, "children": [{**FAULTY, "node-name": "bad"}, B]},
    {
        "driver": "quorum",
        "vote-threshold": 1,
        "read-pattern": "fifo",
        "children": [{**FAULTY, "node-name": "worse"}, B],
    },
    FAULTY,
    {"driver": "blkverify", "test": A, "raw": B},
    {"driver": "throttle", "throttle-group": "g", "file": A},
]
"""Nodes that agree, are outvoted, cannot agree, fail, and so on, when all of them is read."""


def _stream(number: int, below: dict[str, Any]) -> list[Step]:
    """Copy what a node holds into an overlay, which reads all of it."""
    top = {"file": _file(f"top{number}.qcow2"), "backing": {**below, "node-name": "under"}}
    return [
        _add("qcow2", "top", **top),
        step("block-stream", "STATUS=null", job_id="j", device="top"),
        NODES,
        _delete("top"),
    ]


ROWS: dict[str, list[Step]] = {
    "throttle, compress, preallocate": [
        GROUP,
        _add("throttle", throttle_group="none", file=A),
        _add("throttle", throttle_group="g", file=A),
        _add("throttle", "m", throttle_group="g", file="n"),
        NODES,
        GRAPH,
        step("object-del", id="g"),
        _delete("m"),
        _delete(),
        step("object-del", id="g"),
        step("object-del", id="g"),
        _add("compress", file=A),
        _add("compress", file=IMAGE),
        NODES,
        GRAPH,
        _delete(),
        _add("preallocate", prealloc_align=5, file=A),
        _add("preallocate", file=A),
        NODES,
        GRAPH,
        _delete(),
        _add("preallocate", prealloc_align=0, prealloc_size=0, read_only=True, file=A),
        NODES,
    ],
    "reopened": [
        GROUP,
        step("object-add", qom_type="throttle-group", id="h"),
        _add("throttle", throttle_group="g", file=A),
        _reopen(driver="throttle", node_name="n", throttle_group="h", file="a-file"),
        step("object-del", id="g"),
        _reopen(driver="throttle", node_name="n", throttle_group="none", file="a-file"),
        _reopen(driver="throttle", node_name="n", throttle_group="h", read_only=True, file="a-file"),
        NODES,
        _delete(),
        _add("preallocate", file=A),
        _reopen(driver="preallocate", node_name="n", prealloc_align=5, file="a-file"),
        _reopen(driver="preallocate", node_name="n", prealloc_align=512, file="a-file"),
        _reopen(driver="preallocate", node_name="n", file="a-file"),
        _delete(),
        _add("blkdebug", align=512, image=A),
        _reopen(driver="blkdebug", node_name="n", align=1024, image="a-file"),
        _reopen(driver="blkdebug", node_name="n", align=512, read_only=True, image="a-file"),
        NODES,
        _delete(),
        _add("compress", file=IMAGE),
        _reopen(driver="compress", node_name="n", file="image"),
        _delete(),
        _quorum(threshold=1, children=(A, B)),
        _reopen(driver="quorum", node_name="n", vote_threshold=1, children=["a-file", "b-file"]),
    ],
    "blkdebug": [
        _add("blkdebug", align=3, image=ZEROES),
        _add("blkdebug", align=2, max_transfer=3, image=ZEROES),
        _add("blkdebug", config="none", image=ZEROES),
        _add("blkdebug", image=A),
        NODES,
        GRAPH,
        _delete(),
        _add("blkdebug", config="rules", image=A, align=4096),
        NODES,
        _delete(),
        _add("blkdebug", image=A, take_child_perms=["write"], unshare_child_perms=["write"]),
        _add("blkdebug", "m", image="a-file", take_child_perms=["write"]),
        GRAPH,
        _delete(),
        _add(
            "blkdebug",
            image=A,
            inject_error=[{"event": "read_aio", "errno": 28, "sector": 1, "once": True}],
            set_state=[{"event": "write_aio", "new_state": 2}],
        ),
        NODES,
        _delete(),
        _add("qcow2", file={"driver": "blkdebug", "node-name": "d", "image": _file("image.qcow2")}),
        NODES,
        GRAPH,
    ],
    "names": [
        *(
            _add("qcow2", name, file=_file(f"{name}.qcow2"))
            for name in ("faulty", "compared", "unreadable", "alone")
        ),
        NODES,
        GROUP,
        _add(
            "qcow2",
            file={"driver": "throttle", "node-name": "t", "throttle-group": "g", "file": _file("over.qcow2")},
        ),
        NODES,
    ],
    "blkverify, blklogwrites, blkreplay": [
        _add("blkverify", test=A, raw=B),
        NODES,
        GRAPH,
        _delete(),
        _add("blklogwrites", file=A, log=LOG, log_sector_size=100),
        _add("blklogwrites", file=A, log=LOG, log_append=True),
        _add("blklogwrites", file=A, log=LOG, log_append=True, log_sector_size=512),
        _add("blklogwrites", file=A, log=LOG, log_super_update_interval=0),
        _add("blklogwrites", file=A, log=LOG),
        NODES,
        GRAPH,
        _add("blkreplay", "m", image=ZEROES),
    ],
    "quorum": [
        _quorum(threshold=0),
        _quorum(threshold=4),
        _quorum(threshold=1, children=()),
        _quorum(children=(A, LARGE)),
        _quorum(blkverify=True),
        _quorum(children=(A, B), blkverify=True, rewrite_corrupted=True),
        _quorum(children=(A, "nobody")),
        _quorum(),
        NODES,
        GRAPH,
        _delete(),
        _quorum(children=(A, B), blkverify=True),
        GRAPH,
        _delete(),
        _quorum(rewrite_corrupted=True),
        GRAPH,
        _quorum("m", children=("a-file", "b-file"), read_only=True),
    ],
    "children that come and go": [
        _add("file", "spare", filename="a.raw"),
        _quorum(children=(B, C, _file("large.raw", **{"node-name": "third"}))),
        _quorum(children=(B, C, _file("log.raw"))),
        _change(child="children.1"),
        _change(child="children.0"),
        _change(child="children.9"),
        _change(node="spare"),
        GRAPH,
        _change(node="nobody"),
        _change(),
        _change(child="children.3", node="spare"),
        _change(child="children.3"),
        NODES,
    ],
    "reading": [GROUP, *(one for number, below in enumerate(READ) for one in _stream(number, below))],
}


_NOW_SAID_OTHERWISE = {
    "object 'g' is in use, can not be deleted": "Cannot delete throttle group 'g' with active references",
    "Could not read blkdebug config file: No such file or directory": (
        "Could not open 'none': No such file or directory"
    ),
}
"""What QEMU 7.2 says, and QEMU 11.1 and we say instead."""


def _shape(part: Any) -> Any:
    """Leave out what an older QEMU does not show, the order of edges, and the pauses while the graph changes."""
    match part:
        case {"error": {"desc": desc, **others}}:
            return {"error": {**others, "desc": _NOW_SAID_OTHERWISE.get(desc, desc)}}
        case {"return": [*nodes]}:
            return [
                {name: node.get(name) for name in ("node-name", "drv", "file", "ro", "backing_file")}
                for node in nodes
            ]
        case {"return": {"nodes": nodes, "edges": edges}}:
            names = {node["id"]: node["name"] for node in nodes}
            return sorted(
                (names[edge["parent"]], edge["name"], names[edge["child"]], edge["perm"], edge["shared-perm"])
                for edge in edges
            )
        case [*events]:
            return [event for event in events if event["data"].get("status") not in {"paused", "running"}]
    return part


@pytest.mark.parametrize("row", ROWS)
def test_a_filter_looks_as_in_qemu(tmp_path: Path, images: Path, row: str) -> None:
    duel(tmp_path, images, ROWS[row]).assert_alike(_shape)
