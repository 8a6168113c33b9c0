"""An image with garbage anywhere in its structures gets a clear error or correct data, and the server goes on."""

import random
import shutil
from pathlib import Path

import pytest

from tests.differential.duel import OURS, Daemon
from tests.images import make_qcow2, qemu_img, qemu_io


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chain")
    make_qcow2(folder / "base.qcow2", "4M")
    qemu_io(folder / "base.qcow2", "write -P 1 0 1M", "write -c -P 2 1M 64k", "write -z 2M 64k")
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", folder / "top.qcow2")
    qemu_io(folder / "top.qcow2", "write -P 3 3M 64k")
    return folder


def mutate(image: Path, rng: random.Random) -> None:
    """Overwrite a few bytes of the header, or of a table."""
    data = bytearray(image.read_bytes())
    tables = [0, 0x10000, 0x20000, 0x30000, 0x40000]
    for _ in range(rng.randrange(1, 4)):
        start = rng.choice(tables)
        position = start + rng.randrange(0, 112 if start == 0 else 64)
        if position < len(data):
            data[position] = rng.choice((0, 0xFF, 0x80, rng.randrange(256)))
    image.write_bytes(data)


def test_the_server_outlives_every_mutilated_image(tmp_path: Path, chain: Path) -> None:
    rng = random.Random(7)
    refused = streamed = failed = 0
    with Daemon(OURS, tmp_path) as daemon:
        for index in range(120):
            for name in ("base.qcow2", "top.qcow2"):
                shutil.copy(chain / name, tmp_path / name)
            mutate(tmp_path / rng.choice(("base.qcow2", "top.qcow2")), rng)
            file = {"driver": "file", "filename": "top.qcow2"}
            reply = daemon.execute("blockdev-add", {"driver": "qcow2", "node-name": "top", "file": file})
            if "error" in reply:
                refused += 1
                assert reply["error"]["desc"], index
                assert "internal" not in reply["error"]["desc"], (index, reply)
            else:
                assert daemon.execute("block-stream", {"job-id": "j", "device": "top"}) == {"return": {}}
                daemon.wait("STATUS=null")
                completed = [e for e in daemon.take_events() if e["event"] == "BLOCK_JOB_COMPLETED"]
                failed += "error" in completed[0]["data"]
                streamed += "error" not in completed[0]["data"]
                assert daemon.execute("blockdev-del", {"node-name": "top"}) == {"return": {}}
            assert daemon.execute("query-named-block-nodes") == {"return": []}
    assert refused > 10
    assert streamed > 10
    assert failed > 0
