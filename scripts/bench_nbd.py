"""Measure an NBD server under load: ``fio`` and ``nbdcopy`` over a UNIX socket, and its monitor meanwhile.

Each part is for a server of its own and a new image.  The storage daemon's allocator gives large buffers back to the
system at first and comes to keep them later, so that its figures would depend on what was measured before.
Images are in the page cache in pieces of 64 KiB.  Of what was written in pieces of 2 MiB, as by ``qemu-img``, ext4 of
Linux 6.18 goes through 512 blocks for each small write, which takes most of the time whoever serves.
"""

import json
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 2
CLIENTS = 64

Execute = Callable[..., Any]


@dataclass(frozen=True)
class Served:
    """An image that is served.

    Attributes:
        uri: Where.
        kind: Its format.
        data: A raw image with the same data.
        mib: Its size in MiB.
        execute: Runs a command on the server's monitor, which nobody else uses.
    """

    uri: str
    kind: str
    data: Path
    mib: int
    execute: Execute


def measure(
    part: Callable[[Served], dict[str, float]], kind: str, execute: Execute, folder: Path, data: Path
) -> dict[str, float]:
    """Have a server serve an image of that kind, with this data, and measure one part."""
    path, address = folder / f"served.{kind}", folder / "nbd.sock"
    _make_image(path, kind, data)
    execute("nbd-server-start", addr={"type": "unix", "data": {"path": str(address)}})
    file = {"driver": "file", "filename": str(path)}
    execute("blockdev-add", driver=kind, node_name=kind, file=file)
    execute("block-export-add", type="nbd", id=kind, node_name=kind, name=kind, writable=True)
    uri = f"nbd+unix:///{kind}?socket={address}"
    figures = part(Served(uri, kind, data, data.stat().st_size >> 20, execute))
    execute("nbd-server-stop")
    path.unlink()
    return figures


def _make_image(path: Path, kind: str, data: Path) -> None:
    converted = path.with_suffix(".converted")
    subprocess.run(["qemu-img", "convert", "-O", kind, data, converted], check=True)
    words = ["dd", f"if={converted}", f"of={path}", "bs=64k", "conv=sparse", "status=none"]
    subprocess.run(words, check=True)
    converted.unlink()


def _copies(served: Served) -> dict[str, float]:
    name = f"nbd {served.kind}: nbdcopy"
    return {
        f"{name} to it, MiB/s": served.mib / _timed("nbdcopy", str(served.data), served.uri),
        f"{name} from it, MiB/s": served.mib / _timed("nbdcopy", served.uri, "null:"),
    }


def _timed(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


def _small_requests(served: Served) -> dict[str, float]:
    return {
        f"nbd {served.kind}: 4 KiB {way}s, depth {depth}, /s": sum(_fio(served.uri, f"rand{way}", depth))
        for way in ("read", "write")
        for depth in (1, 16)
    }


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


def _many_clients(served: Served) -> dict[str, float]:
    rates = _fio(served.uri, "randread", 1, CLIENTS)
    return {
        f"nbd: {CLIENTS} clients, reads/s in sum": sum(rates),
        f"nbd: {CLIENTS} clients, the slowest to the mean": min(rates) / statistics.mean(rates),
    }


def _latency_under_load(served: Served) -> dict[str, float]:
    """Find what 99 of 100 commands take at most while the data path is saturated."""
    load = threading.Thread(target=_fio, args=(served.uri, "randrw", 16, 4))
    load.start()
    taken: list[float] = []
    while load.is_alive():
        began = time.perf_counter()
        served.execute("query-block-jobs")
        taken.append(time.perf_counter() - began)
        time.sleep(0.002)
    load.join()
    return {"nbd: QMP under load, 99th percentile, ms": statistics.quantiles(taken, n=100)[98] * 1000}


PARTS = (
    *((kind, part) for kind in ("raw", "qcow2") for part in (_copies, _small_requests)),
    ("raw", _many_clients),
    ("qcow2", _latency_under_load),
)
"""What is measured, and of which kind of image."""
