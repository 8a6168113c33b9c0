"""Dirty bitmaps and transactions: what is said, marked and stored is as on QEMU 11.1.

With QMPSERVER_RECORD=1 the storage daemon in use is recorded anew, and has to be of that version.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import OURS, Daemon, step
from tests.differential.recorded import VERSION
from tests.images import make_qcow2, qemu_check, qemu_img, qemu_io
from tests.peers import need, peer_version

RECORDING = Path(__file__).parent / "recorded_bitmaps.json"
SHOWN = ("name", "count", "granularity", "recording", "busy", "persistent", "inconsistent")
WRITES = (
    "write 0 1k", "write 1000k 100k", "write -z 2M 1M", "discard 4M 200k", "write 8191k 1k", "read 5M 1M", "flush",
)  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make images: new ones, one with bitmaps, one whose bitmaps are out of date, an old one, a raw one."""
    folder = tmp_path_factory.mktemp("images")
    for name in ("new", "over", "target", "marked"):
        make_qcow2(folder / f"{name}.qcow2", "8M")
    make_qcow2(folder / "fine.qcow2", "8M", cluster_size=4096)
    make_qcow2(folder / "old.qcow2", "8M", compat="0.10")
    (folder / "raw").write_bytes(bytes(8 << 20))
    (folder / "odd").write_bytes(bytes(1025))
    marked = folder / "marked.qcow2"
    qemu_img("bitmap", "--add", "-g", "512", marked, "one")
    qemu_img("bitmap", "--add", "--disable", marked, "two")
    qemu_io(marked, "write 1M 3k")
    stale = folder / "stale.qcow2"
    data = bytearray(marked.read_bytes())
    for bitmap_name in (b"one\0", b"two\0"):
        # The lowest of the flags says that the bitmap is in use.
        data[data.rindex(bitmap_name) - 24 + 15] |= 1
    stale.write_bytes(data)
    return folder


def add(name: str, file: str = "", driver: str = "qcow2", **options: Any) -> Any:
    protocol = {"driver": "file", "filename": file or f"{name}.{driver}", "node-name": f"f-{name}"}
    return step("blockdev-add", driver=driver, node_name=name, file=protocol, **options)


def bitmap(verb: str, node: str, name: str, **options: Any) -> Any:
    return step(f"block-dirty-bitmap-{verb}", node=node, name=name, **options)


def merge(node: str, target: str, *bitmaps: Any) -> Any:
    return step("block-dirty-bitmap-merge", node=node, target=target, bitmaps=list(bitmaps))


def sha(node: str, name: str) -> Any:
    return step("x-debug-block-dirty-bitmap-sha256", node=node, name=name)


def transaction(*actions: tuple[str, dict[str, Any]], **options: Any) -> Any:
    return step("transaction", actions=[{"type": kind, "data": data} for kind, data in actions], **options)


LOOK = step("query-named-block-nodes", flat=True)
OF = {"node": "new", "name": "t"}
STORIES: dict[str, list[Any]] = {
    "refusals": [
        add("new"), add("old"), add("raw", "raw", "raw"), add("odd", "odd", "raw"), add("over", read_only=True),
        bitmap("add", "nope", "b"), bitmap("add", "new", ""), bitmap("add", "new", "b"), bitmap("add", "new", "b"),
        *(bitmap("add", "new", "g", granularity=size) for size in (0, 256, 1000, 1 << 31, 1 << 32, -1)),
        bitmap("add", "new", "x" * 1024), bitmap("add", "new", "y" * 1024, persistent=True),
        bitmap("add", "old", "p", persistent=True), bitmap("add", "raw", "p", persistent=True),
        bitmap("add", "over", "p", persistent=True), bitmap("add", "odd", "o", granularity=512),
        *(bitmap(verb, node, "nope") for verb in ("remove", "clear", "enable", "disable") for node in ("new", "nope")),
        merge("new", "nope", "b"), merge("new", "b", "nope"), merge("new", "b", {"node": "odd", "name": "o"}),
        merge("nope", "b", "b"), merge("new", "b", {"node": "nope", "name": "b"}), sha("new", "nope"), LOOK,
    ],
    "stored": [
        add("marked"), LOOK, sha("marked", "one"), bitmap("enable", "marked", "two"),
        merge("marked", "two", "one"), bitmap("add", "marked", "three", persistent=True, disabled=True),
        merge("marked", "three", "one", "two"), sha("marked", "two"), sha("marked", "three"),
        step("block_resize", node_name="marked", size=12 << 20), sha("marked", "one"), bitmap("remove", "marked", "two"),
        step("blockdev-reopen", options=[{"driver": "qcow2", "node-name": "marked", "file": "f-marked", "read-only": True}]),
        LOOK, bitmap("clear", "marked", "one"), bitmap("disable", "marked", "one"), bitmap("remove", "marked", "one"),
        step("blockdev-reopen", options=[{"driver": "qcow2", "node-name": "marked", "file": "f-marked"}]),
        bitmap("clear", "marked", "one"), LOOK,
        step("blockdev-set-active", node_name="marked", active=False), LOOK,
        step("blockdev-set-active", node_name="marked", active=True), LOOK, sha("marked", "three"),
        step("blockdev-del", node_name="marked"), add("marked", read_only=True), LOOK, sha("marked", "three"),
    ],
    "out of date": [
        add("stale"), LOOK, bitmap("add", "stale", "b"),
        *(bitmap(verb, "stale", "one") for verb in ("clear", "enable", "disable", "add")),
        merge("stale", "b", "one"), merge("stale", "one", "b"), step("block_resize", node_name="stale", size=9 << 20),
        bitmap("remove", "stale", "one"), LOOK, step("blockdev-del", node_name="stale"),
        add("stale", read_only=True), LOOK, bitmap("remove", "stale", "two"), bitmap("clear", "stale", "two"),
    ],
    "transactions": [
        add("new"), add("over", backing=None), transaction(),
        transaction(("block-dirty-bitmap-add", OF), ("abort", {})), LOOK,
        transaction(("block-dirty-bitmap-add", OF), ("block-dirty-bitmap-disable", OF), ("block-dirty-bitmap-clear", OF)),
        transaction(("block-dirty-bitmap-remove", OF), ("block-dirty-bitmap-add", OF)),
        transaction(("block-dirty-bitmap-remove", OF), ("block-dirty-bitmap-remove", OF)),
        transaction(("block-dirty-bitmap-enable", OF), ("block-dirty-bitmap-clear", {"node": "new", "name": "nope"})), LOOK,
        transaction(
            ("block-dirty-bitmap-add", {"node": "new", "name": "u", "persistent": True}),
            ("block-dirty-bitmap-merge", {"node": "new", "target": "u", "bitmaps": ["t"]}),
            ("block-dirty-bitmap-remove", OF),
        ), LOOK,
        transaction(("blockdev-snapshot", {"node": "new", "overlay": "over"}), ("abort", {})), LOOK,
        transaction(
            ("blockdev-snapshot", {"node": "new", "overlay": "over"}),
            ("block-dirty-bitmap-add", {"node": "over", "name": "v", "persistent": True}),
            ("block-dirty-bitmap-disable", {"node": "new", "name": "u"}),
        ), LOOK,
        *(transaction((kind, data), properties={"completion-mode": "grouped"}) for kind, data in (
            ("abort", {}), ("block-dirty-bitmap-add", OF), ("blockdev-snapshot", {"node": "new", "overlay": "over"}),
            ("blockdev-snapshot-internal-sync", {"device": "new", "name": "s"}),
        )),
        transaction(("bogus", {})), step("transaction"), step("transaction", actions=[{"type": "abort"}]),
        step("transaction", actions=[], properties={"completion-mode": "x"}),
    ],
}  # fmt: skip


def shaped(part: Any) -> Any:
    """Keep of nodes only their bitmaps, in memory and in the image."""
    if not isinstance(part, dict) or not isinstance(part.get("return"), list):
        return part
    shown = {}
    for node in part["return"]:
        stored = node["image"].get("format-specific", {}).get("data", {}).get("bitmaps", [])
        in_memory = [{key: one[key] for key in SHOWN if key in one} for one in node.get("dirty-bitmaps", [])]
        if stored or in_memory:
            shown[node["node-name"]] = [in_memory, stored]
    return shown


def told(command: list[str], images: Path, folder: Path, story: list[Any]) -> list[Any]:
    """Play a story, and return what was said."""
    shutil.copytree(images, folder)
    with Daemon(command, folder) as daemon:
        return [shaped(daemon.execute(item.execute, item.arguments)) for item in story]


def compare(name: str, mine: Any, theirs: Any) -> None:
    """Hold what was said against the recording, and see whether that is QEMU's if it can be seen."""
    recording = json.loads(RECORDING.read_text()) if RECORDING.exists() else {}
    if theirs is not None and os.environ.get("QMPSERVER_RECORD") == "1":
        recording[name] = theirs
        RECORDING.write_text(json.dumps(recording, indent=1, sort_keys=True) + "\n")
    assert mine == recording[name]
    assert theirs in (None, recording[name])


def is_recorded_version() -> bool:
    """Say whether the storage daemon there is that of the recordings."""
    return peer_version("qemu-storage-daemon")[0] == VERSION


@pytest.mark.parametrize("name", STORIES)
def test_bitmaps_are_as_on_qemu(name: str, images: Path, tmp_path: Path) -> None:
    story = STORIES[name]
    theirs = None
    if is_recorded_version():
        theirs = told([need("qemu-storage-daemon")], images, tmp_path / "theirs", story)
    compare(name, told(OURS, images, tmp_path / "ours", story), theirs)
    for image in (tmp_path / "ours").glob("*.qcow2"):
        assert qemu_check(image) == {}


def marked_by_writes(command: list[str], images: Path, folder: Path) -> list[Any]:
    """Write over NBD to nodes with bitmaps of several granularities, and return what they say then."""
    shutil.copytree(images, folder)
    nodes = {"new": "qcow2", "fine": "qcow2", "raw": "raw"}
    with Daemon(command, folder) as daemon:
        daemon.execute("nbd-server-start", {"addr": {"type": "unix", "data": {"path": "nbd.sock"}}})
        for node, driver in nodes.items():
            opened = add(node, "raw" if driver == "raw" else "", driver, discard="unmap")
            assert "return" in daemon.execute(opened.execute, opened.arguments)
            for size in (512, 4096, 65536, 1 << 20):
                added = bitmap("add", node, f"b{size}", granularity=size)
                assert "return" in daemon.execute(added.execute, added.arguments)
            daemon.execute("block-dirty-bitmap-add", {"node": node, "name": "default"})
            daemon.execute("block-dirty-bitmap-add", {"node": node, "name": "off", "disabled": True})
            export = {"type": "nbd", "id": node, "node-name": node, "writable": True}
            assert "return" in daemon.execute("block-export-add", export)
            write_over_nbd(folder / "nbd.sock", node)
            daemon.execute("block-export-del", {"id": node})
            daemon.wait("BLOCK_EXPORT_DELETED")
            daemon.take_events()
            assert "return" in daemon.execute("block_resize", {"node-name": node, "size": 9 << 20})
        said = shaped(daemon.execute("query-named-block-nodes", {"flat": True}))
        names = [one["name"] for one in said["new"][0]]
        return [
            said,
            [
                daemon.execute(item.execute, item.arguments)
                for node in nodes
                for item in (sha(node, name) for name in names)
            ],
        ]


def write_over_nbd(socket: Path, export: str) -> None:
    commands = [part for command in WRITES for part in ("-c", command)]
    address = f"nbd+unix:///{export}?socket={socket}"
    done = subprocess.run(
        [need("qemu-io"), "-f", "raw", "-d", "unmap", *commands, address],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "rror" not in done.stdout + done.stderr, done.stdout + done.stderr


def test_writes_mark_what_qemu_marks(images: Path, tmp_path: Path) -> None:
    theirs = None
    if is_recorded_version():
        theirs = marked_by_writes([need("qemu-storage-daemon")], images, tmp_path / "theirs")
    compare("writes", marked_by_writes(OURS, images, tmp_path / "ours"), theirs)


@pytest.mark.parametrize("writer", ["ours", "theirs"])
def test_one_loads_what_the_other_has_stored(writer: str, images: Path, tmp_path: Path) -> None:
    commands = {"ours": OURS, "theirs": [need("qemu-storage-daemon")]}
    reader = "theirs" if writer == "ours" else "ours"
    names = ("one", "two", "three")
    write = [
        add("marked"),
        bitmap("enable", "marked", "two"),
        merge("marked", "two", "one"),
        bitmap("add", "marked", "three", granularity=4096, persistent=True, disabled=True),
        merge("marked", "three", "two"),
        *(sha("marked", name) for name in names),
    ]
    read = [add("marked", read_only=True), LOOK, *(sha("marked", name) for name in names)]
    written = told(commands[writer], images, tmp_path / "written", write)
    assert qemu_check(tmp_path / "written" / "marked.qcow2") == {}
    seen = told(commands[reader], tmp_path / "written", tmp_path / "read", read)
    assert seen[-3:] == written[-3:]
    stored = {one["name"]: (one["granularity"], one["flags"]) for one in seen[1]["marked"][1]}
    assert stored == {"one": (512, ["auto"]), "two": (65536, ["auto"]), "three": (4096, [])}
