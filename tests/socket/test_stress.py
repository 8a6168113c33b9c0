"""Many clients who ask for anything at any time, of one server over real images."""

import random
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.images import make_qcow2, qemu_check, qemu_img, qemu_io
from tests.socket.process import Client, DaemonProcess

CHAINS = 3
LAYERS = 3
CLIENTS = 6
COMMANDS = 80
KINDS = ("pause", "resume", "cancel", "finalize", "dismiss", "complete")


def _make_chain(folder: Path, chain: int) -> None:
    """Make a chain of images, and a plain copy of what its top shows."""
    below: dict[str, str] = {}
    for layer in range(LAYERS):
        name = f"c{chain}n{layer}.qcow2"
        make_qcow2(folder / name, "8M", cluster_size=("4k", "64k", "512")[layer], **below)
        qemu_io(folder / name, f"write -P {layer + 1} {layer}M {6 - 2 * layer}M", "write -z 100k 70k")
        below = {"backing_file": name, "backing_fmt": "qcow2"}
    qemu_img(
        "convert",
        "-f",
        "qcow2",
        "-O",
        "raw",
        folder / f"c{chain}n{LAYERS - 1}.qcow2",
        folder / f"{chain}.raw",
    )


def _nodes(chain: int) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = []
    for layer in range(LAYERS):
        name = f"c{chain}n{layer}"
        file = {"driver": "file", "filename": f"{name}.qcow2"}
        backing = {"backing": f"c{chain}n{layer - 1}"} if layer else {}
        nodes.append({"driver": "qcow2", "node-name": name, "file": file, **backing})
    return nodes


def _anything(dice: random.Random) -> tuple[str, dict[str, Any]]:
    """Return a command that may or may not make sense just now."""
    chain, job = dice.randrange(CHAINS), f"j{dice.randrange(4)}"
    node = dice.choice(_nodes(chain))
    match dice.randrange(8):
        case 0 | 1:
            bottom = {"bottom": f"c{chain}n{dice.randrange(1, LAYERS)}"} if dice.random() < 0.7 else {}
            return "block-stream", {
                "job-id": job,
                "device": f"c{chain}n{dice.randrange(1, LAYERS)}",
                "speed": dice.choice((0, 1, 1 << 20, 64 << 20)),
                "auto-finalize": dice.random() < 0.7,
                "auto-dismiss": dice.random() < 0.7,
                **bottom,
            }
        case 2 | 3:
            return f"job-{dice.choice(KINDS)}", {"id": job}
        case 4:
            return "block-job-set-speed", {"device": job, "speed": dice.choice((0, 0, 1, 32 << 20))}
        case 5:
            return "blockdev-del", {"node-name": node["node-name"]}
        case 6:
            return "blockdev-add", node
        case _:
            return dice.choice(
                [
                    ("query-named-block-nodes", {}),
                    ("query-blockstats", {"query-nodes": True}),
                    ("query-block-jobs", {}),
                    ("x-debug-query-block-graph", {}),
                ]
            )


def _pester(path: Path, seed: int) -> int:
    """Send commands as one client; return how many were carried out."""
    dice = random.Random(seed)
    done = 0
    with Client.at(path) as client:
        for _ in range(COMMANDS):
            command, arguments = _anything(dice)
            reply = client.execute(command, **arguments)
            assert reply.get("error", {}).get("desc") != "internal error", (command, arguments, reply)
            done += "return" in reply
    return done


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_many_clients_ask_for_images_show_what_they_showed(tmp_path: Path, seed: int) -> None:
    for chain in range(CHAINS):
        _make_chain(tmp_path, chain)
    path = tmp_path / "qmp.sock"
    with DaemonProcess("--qmp", "unix:qmp.sock", folder=tmp_path) as daemon:
        with Client.at(path) as client:
            for node in (node for chain in range(CHAINS) for node in _nodes(chain)):
                assert client.execute("blockdev-add", **node) == {"return": {}}
        with ThreadPoolExecutor(CLIENTS) as clients:
            done = list(clients.map(_pester, [path] * CLIENTS, range(100 * seed, 100 * seed + CLIENTS)))
        assert min(done) > COMMANDS // 10
        status, complaints = daemon.end(signal.SIGTERM)
    assert (status, complaints) == (0, "")
    for chain in range(CHAINS):
        top = tmp_path / f"c{chain}n{LAYERS - 1}.qcow2"
        for layer in range(LAYERS):
            assert qemu_check(tmp_path / f"c{chain}n{layer}.qcow2") == {}
        qemu_img("compare", "-q", "-f", "qcow2", "-F", "raw", top, tmp_path / f"{chain}.raw")
