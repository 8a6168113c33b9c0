"""The same exports on real QEMU and on this server: replies, refusals and events."""

from pathlib import Path

import pytest

from tests.differential.duel import Step, duel, step
from tests.images import make_qcow2
from tests.peers import nbd_peer, peer_version

UNIX = {"type": "unix", "data": {"path": "n.sock"}}
LONG = "n" * 4097


def add(export_id: str, node_name: str = "q", **options: object) -> Step:
    return step("block-export-add", type="nbd", id=export_id, node_name=node_name, **options)


NODES = [
    step("blockdev-add", driver="qcow2", node_name="q", file={"driver": "file", "filename": "a.qcow2"}),
    step("blockdev-add", driver="null-co", node_name="ro", read_only=True, size=1 << 20),
    step("object-add", qom_type="iothread", id="io"),
]

WITHOUT_A_SERVER = [
    add("e1"),
    step("nbd-server-add", device="q"),
    step("nbd-server-remove", name="q"),
    step("nbd-server-stop"),
    step("nbd-server-start", addr={"type": "unix", "data": {"path": "nowhere/n.sock"}}),
    step("nbd-server-start", addr=UNIX, tls_creds="nope"),
    step("nbd-server-start", addr=UNIX, max_connections=-1),
    step("query-block-exports"),
]

REFUSALS = [
    step("nbd-server-start", addr=UNIX, max_connections=2),
    step("nbd-server-start", addr=UNIX),
    add("e1", "zz"),
    add("0bad"),
    add("a b"),
    add("e1"),
    add("e1", name="other"),
    add("e2"),
    add("e3", "ro", writable=True),
    add("e4", name=LONG),
    add("e4", name="d", description=LONG),
    add("e5", name="b", bitmaps=["none"]),
    step("block-dirty-bitmap-add", node="q", name="b0"),
    add("e6", name="b", bitmaps=["b0"]),
    step("block-dirty-bitmap-disable", node="q", name="b0"),
    add("e7", name="b", bitmaps=["b0"]),
    step("block-dirty-bitmap-remove", node="q", name="b0"),
    add("e8", name="x", iothread="zz"),
    add("e9", name="x", iothread="io"),
    add("w", name="w", writable=True, writethrough=True, allocation_depth=True),
    step("query-block-exports"),
    step("blockdev-del", node_name="q"),
    step("block_resize", node_name="q", size=1 << 21),
    step("block-export-del", id="zz"),
    step("block-export-del", "BLOCK_EXPORT_DELETED", id="e7", mode="hard"),
    step("block-dirty-bitmap-remove", node="q", name="b0"),
    step("block-export-del", "BLOCK_EXPORT_DELETED", id="e9"),
    step("block-export-del", id="e9"),
]

THE_OLDER_WAY = [
    step("nbd-server-add", device="q", name="old", description="of old", writable=True),
    step("nbd-server-add", device="q", name="old"),
    step("nbd-server-add", device="ro", writable=True),
    step("nbd-server-add", device="ro", name="0 bad"),
    step("nbd-server-add", device="ro", name=LONG),
    step("nbd-server-add", device="zz"),
    step("nbd-server-add", device="ro", name="r2", bitmap="none"),
    step("query-block-exports"),
    step("nbd-server-remove", name="zz"),
    step("nbd-server-remove", "BLOCK_EXPORT_DELETED", name="old", mode="hard"),
    step("block-export-del", "BLOCK_EXPORT_DELETED", id="e1"),
    step("block-export-del", "BLOCK_EXPORT_DELETED", id="w"),
    step("nbd-server-stop", "BLOCK_EXPORT_DELETED"),
    step("query-block-exports"),
    step("nbd-server-stop"),
    step("nbd-server-start", addr={"type": "inet", "data": {"host": "127.0.0.1", "port": "0"}}),
    step("nbd-server-stop"),
]

SINCE_11 = [
    step("nbd-server-start", addr=UNIX, handshake_max_seconds=5),
    add("e1", iothread=["io"]),
    add("e1", iothread=[]),
    add("e1", iothread=["io", "zz"]),
    add("r", name="r"),
    step("blockdev-set-active", node_name="q", active=False),
    add("i", name="i", allow_inactive=True, writable=True),
    step("query-named-block-nodes", flat=True),
    add("w", name="w", writable=True),
    step("blockdev-set-active", node_name="q", active=False),
    step("blockdev-set-active", active=False),
    step("block-export-del", "BLOCK_EXPORT_DELETED", id="w"),
    step("blockdev-set-active", active=False),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    make_qcow2(folder / "a.qcow2", "1M")
    return folder


def test_exports_come_and_go_alike(tmp_path: Path, images: Path) -> None:
    outcome = duel(tmp_path, images, [*NODES, *WITHOUT_A_SERVER, *REFUSALS, *THE_OLDER_WAY])
    outcome.assert_alike()


def test_others_exports_are_opened_alike(tmp_path: Path, images: Path) -> None:
    path = tmp_path / "peer.sock"

    def node(name: str, **options: object) -> Step:
        server = {"type": "unix", "path": str(path)}
        return step("blockdev-add", **{"driver": "nbd", "node_name": name, "server": server, **options})

    def reopen(**options: object) -> Step:
        wanted = {"driver": "nbd", "node-name": "b", "server": {"type": "unix", "path": str(path)}}
        return step("blockdev-reopen", options=[{**wanted, "export": "disk", **options}])

    steps = [
        node("a", server={"type": "unix", "path": "nowhere"}),
        node("a", server={"type": "inet", "host": "127.0.0.1", "port": "1"}),
        node("a", export="other"),
        node("a", export="disk"),
        node("a", export="disk", read_only=True, tls_creds="none"),
        node("a", export="disk", read_only=True, x_dirty_bitmap="qemu:dirty-bitmap:none"),
        node("b", export="disk", read_only=True, reconnect_delay=5),
        node("c", export="disk", auto_read_only=True),
        reopen(**{"read-only": True, "reconnect-delay": 5}),
        reopen(**{"read-only": False, "reconnect-delay": 5}),
        step("block_resize", node_name="b", size=1 << 21),
        step("x-debug-query-block-graph"),
        step("blockdev-del", node_name="b"),
    ]
    image = images / "a.qcow2"
    with nbd_peer("qemu-nbd", "-t", "-r", "-e", "9", "-f", "raw", "-x", "disk", "-k", path, image, path=path):
        duel(tmp_path, images, steps).assert_alike()


def test_inactive_nodes_are_exported_alike(tmp_path: Path, images: Path) -> None:
    if peer_version("qemu-storage-daemon") < (11, 0):
        pytest.skip("older servers know neither inactive nodes nor several I/O threads")
    duel(tmp_path, images, [*NODES, *SINCE_11]).assert_alike()
