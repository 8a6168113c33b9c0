"""A server killed among snapshots leaves chains that hold all that was in them."""

import random
import signal
import threading
from pathlib import Path

import pytest

from tests.differential.duel import OURS, Daemon
from tests.images import make_qcow2, qemu_check, qemu_img, qemu_io
from tests.socket.crashing import seeds

SNAPSHOTS = 40


@pytest.mark.parametrize("seed", seeds(2))
def test_killed_at_any_moment_the_chain_can_be_used(tmp_path: Path, seed: int) -> None:
    base = make_qcow2(tmp_path / "s0.qcow2", "1M")
    qemu_io(base, "write -P 7 0 1M")
    taken = 0
    with Daemon(OURS, tmp_path) as daemon:
        file = {"driver": "file", "filename": "s0.qcow2"}
        daemon.execute("blockdev-add", {"driver": "qcow2", "node-name": "s0", "file": file})
        daemon.execute("blockdev-add", {"driver": "raw", "node-name": "user", "file": "s0"})
        end = threading.Timer(
            random.Random(seed).uniform(0.02, 0.3), daemon.process.send_signal, [signal.SIGKILL]
        )
        end.start()
        try:
            for index in range(1, SNAPSHOTS):
                names = {"node-name": f"s{index - 1}", "snapshot-node-name": f"s{index}"}
                reply = daemon.execute("blockdev-snapshot-sync", names | {"snapshot-file": f"s{index}.qcow2"})
                assert reply == {"return": {}}
                taken = index
        except (AssertionError, OSError):
            assert daemon.process.wait() == -signal.SIGKILL
        end.cancel()
        end.join()
    for index in {0, taken // 2, taken}:
        image = tmp_path / f"s{index}.qcow2"
        assert qemu_check(image) == {}
        qemu_io(image, "read -P 7 0 1M", options=("-r",))
    assert f"s{taken}.qcow2" in qemu_img("info", "--backing-chain", tmp_path / f"s{taken}.qcow2")
