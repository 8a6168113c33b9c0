"""Measure an NBD server under load: ``fio`` and ``nbdcopy`` over a UNIX socket, and its monitor meanwhile."""

import json
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SECONDS = 2
CLIENTS = 64

Execute = Callable[..., Any]


def measure(execute: Execute, folder: Path, data: Path, mib: int) -> dict[str, float]:
    """Serve a raw and a qcow2 image with the same data, and load them.

    Args:
        execute: Runs a command on the server's monitor, which nobody else uses.
        folder: Where there is room for images.
        data: A raw image with the data.
        mib: Its size in MiB.
    """
    images = {kind: folder / f"served.{kind}" for kind in ("raw", "qcow2")}
    for kind, path in images.items():
        subprocess.run(["qemu-img", "convert", "-O", kind, data, path], check=True)
    address = folder / "nbd.sock"
    execute("nbd-server-start", addr={"type": "unix", "data": {"path": str(address)}})
    figures: dict[str, float] = {}
    for kind, path in images.items():
        file = {"driver": "file", "filename": str(path)}
        execute("blockdev-add", driver=kind, node_name=kind, file=file)
        execute("block-export-add", type="nbd", id=kind, node_name=kind, name=kind, writable=True)
        uri = f"nbd+unix:///{kind}?socket={address}"
        for name, value in _load(uri, data, mib):
            figures[f"nbd {kind}: {name}"] = value
    figures |= _many_clients(f"nbd+unix:///raw?socket={address}")
    figures["nbd: QMP under load, 99th percentile, ms"] = _latency_under_load(execute, uri)
    execute("nbd-server-stop")
    for path in images.values():
        path.unlink()
    return figures


def _load(uri: str, data: Path, mib: int) -> Iterator[tuple[str, float]]:
    for direction in ("read", "write"):
        for depth in (1, 16):
            (rate,) = _fio(uri, f"rand{direction}", depth)
            yield f"4 KiB {direction}s, depth {depth}, /s", rate
    yield "nbdcopy from it, MiB/s", mib / _timed("nbdcopy", uri, "null:")
    yield "nbdcopy to it, MiB/s", mib / _timed("nbdcopy", str(data), uri)


def _timed(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


def _fio(uri: str, kind: str, depth: int, clients: int = 1) -> list[float]:
    """Return each client's requests per second."""
    words = ["--name=x", "--ioengine=nbd", f"--uri={uri}", f"--rw={kind}", "--bs=4k", f"--iodepth={depth}"]
    words += ["--time_based", f"--runtime={SECONDS}", "--output-format=json", f"--numjobs={clients}"]
    words += ["--norandommap", "--thread"]
    done = subprocess.run(["fio", *words], check=True, stdout=subprocess.PIPE)
    # Notes of its own may come first.
    told = done.stdout[done.stdout.index(b"{") :]
    side = "write" if "write" in kind else "read"
    return [float(job[side]["iops"]) for job in json.loads(told)["jobs"]]


def _many_clients(uri: str) -> dict[str, float]:
    rates = _fio(uri, "randread", 1, CLIENTS)
    return {
        f"nbd: {CLIENTS} clients, reads/s in sum": sum(rates),
        f"nbd: {CLIENTS} clients, the slowest to the mean": min(rates) / statistics.mean(rates),
    }


def _latency_under_load(execute: Execute, uri: str) -> float:
    """Return what 99 of 100 commands take at most, in milliseconds, while the data path is saturated."""
    load = threading.Thread(target=_fio, args=(uri, "randrw", 16, 4))
    load.start()
    taken: list[float] = []
    while load.is_alive():
        began = time.perf_counter()
        execute("query-block-jobs")
        taken.append(time.perf_counter() - began)
        time.sleep(0.002)
    load.join()
    return statistics.quantiles(taken, n=100)[98] * 1000
