"""Measure this server beside QEMU's storage daemon, from outside, in turn.

    scripts/bench [qmp|start|stream|backup ...] [--runs N] [--peer COMMAND] [--mib N] [--json FILE]

Both are started with the same options and given the same bytes over the same kind of socket.  They
take turns (ours, theirs, ours, ...) and each figure is the median of its runs, so that the ratio
holds on a machine whose speed drifts.  The last column is the goal the project has set itself.
"""

import argparse
import functools
import itertools
import json
import os
import selectors
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import bench_img, bench_machine, bench_nbd

# Bytecode is kept, as it is of any program that is installed.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

MIB = 1 << 20
OURS = f"{shlex.quote(sys.executable)} -m qmpserver --log-level warning"


class Server:
    """A running server, and one connection to its monitor."""

    def __init__(self, command: str, folder: Path) -> None:
        path = folder / f"{time.monotonic_ns()}.sock"
        chardev = f"socket,id=c,path={path},server=on,wait=off"
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [*shlex.split(command), "--chardev", chardev, "--monitor", "chardev=c"],
            stdout=subprocess.DEVNULL,
        )
        while not self._is_greeted(str(path)):
            if self.process.poll() is not None:
                raise SystemExit(f"{command}: ended with {self.process.returncode} before it greeted")
        self.start_seconds = time.perf_counter() - began
        self._events: list[dict[str, Any]] = []
        self.execute("qmp_capabilities")

    def _is_greeted(self, path: str) -> bool:
        """Try to connect.  QEMU misses a client now and then that comes while it starts; that one tries again."""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(2)
        self._lines = self.socket.makefile("rb")
        try:
            self.socket.connect(path)
            if b"QMP" in self._lines.readline():
                self.socket.settimeout(None)
                return True
        except OSError:
            time.sleep(0.001)
        self._lines.close()
        self.socket.close()
        return False

    def execute(self, name: str, /, **arguments: Any) -> Any:
        """Run one command and return what it returns; events met on the way are kept."""
        wire = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.socket.sendall(json.dumps({"execute": name, "arguments": wire}).encode() + b"\n")
        while True:
            message = json.loads(self._lines.readline())
            if "event" in message:
                self._events.append(message)
            elif "QMP" in message:
                continue  # QEMU at times greets twice a client that comes while it starts
            elif "error" in message:
                raise SystemExit(f"{name}: {message['error']['desc']}")
            else:
                return message["return"]

    def wait_event(self, name: str) -> dict[str, Any]:
        """Return the next event of that name."""
        while True:
            event = self._events.pop(0) if self._events else json.loads(self._lines.readline())
            if event["event"] == name:
                return dict(event)

    def one_at_a_time(self, line: bytes, count: int) -> float:
        """Send `count` commands, each after the reply to the one before; return commands per second."""
        began = time.perf_counter()
        for _ in range(count):
            self.socket.sendall(line)
            self._lines.readline()
        return count / (time.perf_counter() - began)

    def pipelined(self, line: bytes, count: int) -> float:
        """Send `count` commands without waiting; return commands per second until the last reply."""
        payload, sent, received = memoryview(line * count), 0, 0
        self.socket.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
            began = time.perf_counter()
            while received < count:
                for _, mask in selector.select(20):
                    if mask & selectors.EVENT_WRITE and sent < len(payload):
                        sent += self.socket.send(payload[sent : sent + 65536])
                        if sent == len(payload):
                            selector.modify(self.socket, selectors.EVENT_READ)
                    if mask & selectors.EVENT_READ:
                        received += self.socket.recv(262144).count(b"\n")
            elapsed = time.perf_counter() - began
        self.socket.setblocking(True)
        return count / elapsed

    def memory_mib(self, field: str) -> float:
        """Return `VmRSS` (now) or `VmHWM` (at most so far) of the process, in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
        raise SystemExit(f"no {field} of process {self.process.pid}")

    def close(self) -> None:
        """End the server."""
        self.execute("quit")
        self.process.wait(30)
        self.socket.close()


@dataclass(frozen=True)
class Goal:
    """What a figure should be: a ratio to the peer's, or a value of our own."""

    text: str
    holds: Callable[[float, float], bool]


def at_least(ratio: float) -> Goal:
    """Ours is at least `ratio` times theirs."""
    return Goal(f">= {ratio:g}x", lambda ours, theirs: ours >= ratio * theirs)


def at_most(value: float, unit: str) -> Goal:
    """Ours is at most `value`, whatever theirs is."""
    return Goal(f"<= {value:g} {unit}", lambda ours, _theirs: ours <= value)


GOALS = {
    "check 2 M clusters, in order, s": Goal("<= 1x", lambda ours, theirs: ours <= theirs),
    "check 2 M clusters, fragmented, s": Goal("<= 1x", lambda ours, theirs: ours <= theirs),
    "map 2 M clusters, in order, s": Goal("<= 1.5x", lambda ours, theirs: ours <= 1.5 * theirs),
    "map 2 M clusters, fragmented, s": Goal("<= 1.5x", lambda ours, theirs: ours <= 1.5 * theirs),
    "info, s": at_most(0.15, "s"),
    "--version, s": at_most(0.08, "s"),
    "allocating writes of 64 KiB, MiB/s": at_least(1),
    "allocating writes of 1 MiB, MiB/s": at_least(1),
    "convert, MiB/s": at_least(1),
    "convert -c (zlib), MiB/s": at_least(1),
    "convert -c (zstd), MiB/s": at_least(1),
    "chain of 200: images opened/s": at_least(0.5),
    "chain of 200: shown flat/s": at_least(0.5),
    "chain of 200: shown whole/s": at_least(0.5),
    "1,000 nodes: added/s": at_least(0.5),
    "1,000 nodes: shown flat/s": at_least(0.5),
    "1,000 nodes: shown whole/s": at_least(0.5),
    "one at a time, commands/s": at_least(5),
    "pipelined, commands/s": at_least(15),
    "rejected, commands/s": at_least(10),
    **{
        f"nbd {kind}: {figure}": at_least(1.2)
        for kind in ("raw", "qcow2")
        for figure in (
            *(f"4 KiB {way}s, depth {depth}, /s" for way in ("read", "write") for depth in (1, 16)),
            "nbdcopy from it, MiB/s",
            "nbdcopy to it, MiB/s",
        )
    },
    "nbd: 64 clients, reads/s in sum": at_least(1),
    "nbd: 64 clients, the slowest to the mean": Goal(">= 0.5", lambda ours, _theirs: ours >= 0.5),
    "nbd: QMP under load, 99th percentile, ms": at_most(20, "ms"),
    "machine: start to running, s": at_most(0.5, "s"),
    "machine: virsh start, s": Goal("<= 1.5x", lambda ours, theirs: ours <= 1.5 * theirs),
    "machine: 100 at once, PSS in MiB": at_most(6144, "MiB"),
    "start to greeting, s": at_most(0.15, "s"),
    "resident when idle, MiB": at_most(45, "MiB"),
    "block-stream, MiB/s": at_least(2),
    "block-stream until on disk, MiB/s": at_least(2),
    "resident at most while streaming, MiB": at_most(120, "MiB"),
    "blockdev-mirror, MiB/s": at_least(1.2),
    "blockdev-mirror until on disk, MiB/s": at_least(1.2),
    "block-commit, MiB/s": at_least(1.2),
    "block-commit until on disk, MiB/s": at_least(1.2),
    "blockdev-backup, MiB/s": at_least(1.2),
    "blockdev-backup until on disk, MiB/s": at_least(1.2),
}


def case_qmp(command: str, folder: Path, _mib: int) -> dict[str, float]:
    """Commands per second on one connection."""
    server = Server(command, folder)
    query = b'{"execute": "query-block-jobs"}\n'
    refused = (
        b'{"execute": "block-job-set-speed", "arguments": {"device": "none", "speed": 1048576}, "id": 7}\n'
    )
    server.pipelined(query, 500)
    figures = {
        "one at a time, commands/s": server.one_at_a_time(query, 5000),
        "pipelined, commands/s": server.pipelined(query, 20000),
        "rejected, commands/s": server.pipelined(refused, 10000),
    }
    server.close()
    return figures


def case_start(command: str, folder: Path, _mib: int) -> dict[str, float]:
    """From starting the process to its greeting, and what it then occupies."""
    server = Server(command, folder)
    figures = {
        "start to greeting, s": server.start_seconds,
        "resident when idle, MiB": server.memory_mib("VmRSS"),
    }
    server.close()
    return figures


def case_machine(command: str, folder: Path, _mib: int) -> dict[str, float]:
    """A machine beside the system emulator, whichever storage daemon the others are measured beside."""
    ours = [sys.executable, "-m", "qmpserver", "machine", "--log-level", "warning"]
    figures: dict[str, float] = bench_machine.measure_machine(ours if command == OURS else None, folder)
    return figures


def make_data(folder: Path, mib: int) -> Path:
    """Make a raw file that does not compress, every fourth MiB a hole, and keep it between runs."""
    path = folder / f"data-{mib}.raw"
    if not path.exists():
        block = os.urandom(MIB)
        with path.open("wb") as out:
            out.truncate(mib * MIB)
            for index in range(mib):
                if index % 4 != 3:
                    out.seek(index * MIB)
                    out.write(index.to_bytes(8, "little") + block[8:])
    return path


def image(*arguments: str) -> None:
    """Run qemu-img."""
    subprocess.run(["qemu-img", *arguments], check=True, stdout=subprocess.DEVNULL)


def case_stream(command: str, folder: Path, mib: int) -> dict[str, float]:
    """A qcow2 overlay takes in its qcow2 base; the result is checked and compared."""
    data = make_data(folder, mib)
    base, top = str(folder / "base.qcow2"), str(folder / "top.qcow2")
    image("convert", "-O", "qcow2", str(data), base)
    image("create", "-f", "qcow2", "-F", "qcow2", "-b", base, top)
    os.sync()
    server = Server(command, folder)
    file = {"driver": "file", "filename": top}
    server.execute("blockdev-add", driver="qcow2", node_name="top", file=file)
    began = time.perf_counter()
    server.execute("block-stream", job_id="j", device="top")
    event = server.wait_event("BLOCK_JOB_COMPLETED")
    elapsed = time.perf_counter() - began
    # Ours is on disk before the job completes, theirs whenever the kernel gets to it.
    with Path(top).open("rb") as written:
        os.fsync(written)
    elapsed_on_disk = time.perf_counter() - began
    if "error" in event["data"]:
        raise SystemExit(f"{command}: {event['data']['error']}")
    figures = {
        "block-stream, MiB/s": mib / elapsed,
        "block-stream until on disk, MiB/s": mib / elapsed_on_disk,
        "resident at most while streaming, MiB": server.memory_mib("VmHWM"),
    }
    server.close()
    image("check", "-q", top)
    image("compare", "-q", "-F", "raw", top, str(data))
    Path(base).unlink()
    Path(top).unlink()
    return figures


def case_backup(command: str, folder: Path, mib: int) -> dict[str, float]:
    """A full backup of a qcow2 image to another; the result is checked and compared."""
    data = make_data(folder, mib)
    source, target = str(folder / "source.qcow2"), str(folder / "target.qcow2")
    image("convert", "-O", "qcow2", str(data), source)
    image("create", "-f", "qcow2", target, f"{mib}M")
    os.sync()
    server = Server(command, folder)
    for name, path in (("source", source), ("target", target)):
        file = {"driver": "file", "filename": path}
        server.execute("blockdev-add", driver="qcow2", node_name=name, file=file)
    began = time.perf_counter()
    server.execute("blockdev-backup", job_id="j", device="source", target="target", sync="full")
    event = server.wait_event("BLOCK_JOB_COMPLETED")
    elapsed = time.perf_counter() - began
    if "error" in event["data"]:
        raise SystemExit(f"{command}: {event['data']['error']}")
    server.execute("blockdev-del", node_name="target")
    with Path(target).open("rb") as written:
        os.fsync(written)
    elapsed_on_disk = time.perf_counter() - began
    server.close()
    image("check", "-q", target)
    image("compare", "-q", "-F", "raw", target, str(data))
    Path(source).unlink()
    Path(target).unlink()
    return {
        "blockdev-backup, MiB/s": mib / elapsed,
        "blockdev-backup until on disk, MiB/s": mib / elapsed_on_disk,
    }


def case_mirror(command: str, folder: Path, mib: int) -> dict[str, float]:
    """A full mirror of a qcow2 image to another, until it is ready; the copy is checked and compared."""
    data = make_data(folder, mib)
    source, target = str(folder / "source.qcow2"), str(folder / "target.qcow2")
    image("convert", "-O", "qcow2", str(data), source)
    image("create", "-f", "qcow2", target, f"{mib}M")
    os.sync()
    server = Server(command, folder)
    for name, path in (("source", source), ("target", target)):
        file = {"driver": "file", "filename": path}
        server.execute("blockdev-add", driver="qcow2", node_name=name, file=file)
    began = time.perf_counter()
    server.execute("blockdev-mirror", job_id="j", device="source", target="target", sync="full")
    server.wait_event("BLOCK_JOB_READY")
    elapsed = time.perf_counter() - began
    with Path(target).open("rb") as written:
        os.fsync(written)
    elapsed_on_disk = time.perf_counter() - began
    server.execute("block-job-cancel", device="j")
    server.wait_event("BLOCK_JOB_COMPLETED")
    server.close()
    image("check", "-q", target)
    image("compare", "-q", "-F", "raw", target, str(data))
    Path(source).unlink()
    Path(target).unlink()
    return {
        "blockdev-mirror, MiB/s": mib / elapsed,
        "blockdev-mirror until on disk, MiB/s": mib / elapsed_on_disk,
    }


def case_commit(command: str, folder: Path, mib: int) -> dict[str, float]:
    """A qcow2 layer with all the data goes into its empty base, under an overlay; the result is checked and compared."""
    data = make_data(folder, mib)
    base, middle, top = (str(folder / f"{name}.qcow2") for name in ("base", "middle", "top"))
    image("create", "-f", "qcow2", base, f"{mib}M")
    image("convert", "-O", "qcow2", str(data), middle)
    image("rebase", "-u", "-F", "qcow2", "-b", base, middle)
    image("create", "-f", "qcow2", "-F", "qcow2", "-b", middle, top)
    os.sync()
    server = Server(command, folder)
    file = {"driver": "file", "filename": top}
    server.execute("blockdev-add", driver="qcow2", node_name="top", file=file)
    began = time.perf_counter()
    server.execute("block-commit", job_id="j", device="top", top=middle, base=base)
    event = server.wait_event("BLOCK_JOB_COMPLETED")
    elapsed = time.perf_counter() - began
    if "error" in event["data"]:
        raise SystemExit(f"{command}: {event['data']['error']}")
    with Path(base).open("rb") as written:
        os.fsync(written)
    elapsed_on_disk = time.perf_counter() - began
    server.close()
    image("check", "-q", base)
    image("compare", "-q", "-F", "raw", top, str(data))
    for path in (base, middle, top):
        Path(path).unlink()
    return {
        "block-commit, MiB/s": mib / elapsed,
        "block-commit until on disk, MiB/s": mib / elapsed_on_disk,
    }


CHAIN_LENGTH = 200
PAIRS = 500


def make_chain(folder: Path) -> Path:
    """Make a chain of empty images, and keep it between runs; return the top."""
    names = [f"chain-{index}.qcow2" for index in range(CHAIN_LENGTH)]
    if not (folder / names[-1]).exists():
        image("create", "-f", "qcow2", str(folder / names[0]), "1M")
        for below, name in itertools.pairwise(names):
            image("create", "-u", "-f", "qcow2", "-F", "qcow2", "-b", below, str(folder / name), "1M")
    return folder / names[-1]


def case_graph(command: str, folder: Path, _mib: int) -> dict[str, float]:
    """A long chain, and many nodes: opened, and shown."""
    top = make_chain(folder)
    server = Server(command, folder)

    def per_second(count: int, run: Callable[[], object]) -> float:
        began = time.perf_counter()
        run()
        return count / (time.perf_counter() - began)

    def add_pairs() -> None:
        for index in range(PAIRS):
            server.execute("blockdev-add", driver="null-co", node_name=f"n{index}")
            server.execute("blockdev-add", driver="raw", node_name=f"r{index}", file=f"n{index}")

    file = {"driver": "file", "filename": str(top)}
    show = functools.partial(server.execute, "query-named-block-nodes")
    add_top = functools.partial(server.execute, "blockdev-add", driver="qcow2", node_name="top", file=file)
    figures = {
        "chain of 200: images opened/s": per_second(CHAIN_LENGTH, add_top),
        "chain of 200: shown flat/s": per_second(1, functools.partial(show, flat=True)),
        "chain of 200: shown whole/s": per_second(1, show),
    }
    server.execute("blockdev-del", node_name="top")
    figures |= {
        "1,000 nodes: added/s": per_second(2 * PAIRS, add_pairs),
        "1,000 nodes: shown flat/s": per_second(1, functools.partial(show, flat=True)),
        "1,000 nodes: shown whole/s": per_second(1, show),
    }
    server.close()
    return figures


OUR_TOOL, THEIR_TOOL = f"{shlex.quote(sys.executable)} -m qmpserver img", "qemu-img"


def _tool(command: str) -> str:
    """Return the image tool that belongs to a server."""
    return OUR_TOOL if command == OURS else THEIR_TOOL


def case_tables(command: str, folder: Path, _mib: int) -> dict[str, float]:
    """Check and map an image of 2 million clusters."""
    figures: dict[str, float] = bench_img.measure_tables(_tool(command), folder)
    return figures


def case_writes(command: str, folder: Path, mib: int) -> dict[str, float]:
    """Write a new image from its beginning to its end."""
    figures: dict[str, float] = bench_img.measure_writes(_tool(command), folder, mib)
    return figures


def case_convert(command: str, folder: Path, mib: int) -> dict[str, float]:
    """Convert a raw image to qcow2."""
    figures: dict[str, float] = bench_img.measure_convert(_tool(command), folder, make_data(folder, mib), mib)
    return figures


def case_nbd(command: str, folder: Path, mib: int) -> dict[str, float]:
    """Images served over NBD."""
    data = make_data(folder, mib)
    figures: dict[str, float] = {}
    for kind, part in bench_nbd.PARTS:
        server = Server(command, folder)
        try:
            figures |= bench_nbd.measure(part, kind, server.execute, folder, data)
        finally:
            server.close()
    return figures


CASES = {
    "nbd": case_nbd,
    "tables": case_tables,
    "writes": case_writes,
    "convert": case_convert,
    "qmp": case_qmp,
    "start": case_start,
    "machine": case_machine,
    "stream": case_stream,
    "backup": case_backup,
    "mirror": case_mirror,
    "commit": case_commit,
    "graph": case_graph,
}


def main() -> None:
    """Run the cases asked for and print one row a figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help="qmp, start or stream; all when none is given"
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer", default="qemu-storage-daemon", help="the storage daemon to compare with")
    parser.add_argument("--mib", type=int, default=1024, help="size of the streamed disk in MiB")
    parser.add_argument("--json", help="write the medians to this file")
    options = parser.parse_args()
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    figures: dict[str, dict[str, list[float]]] = {OURS: {}, options.peer: {}}
    with tempfile.TemporaryDirectory(prefix="qmpserver-bench-") as folder:
        for case in options.cases or list(CASES):
            for _ in range(options.runs):
                for command in (OURS, options.peer):
                    for name, value in CASES[case](command, Path(folder), options.mib).items():
                        figures[command].setdefault(name, []).append(value)
    medians = {
        command: {name: statistics.median(values) for name, values in rows.items()}
        for command, rows in figures.items()
    }
    report(medians[OURS], medians[options.peer])
    if options.json:
        Path(options.json).write_text(json.dumps(medians, indent=1))


def report(ours: dict[str, float], theirs: dict[str, float]) -> None:
    """Print ours, theirs, the ratio, and whether the goal is met."""
    print(f"{'':38}{'ours':>12}{'theirs':>12}{'ratio':>9}  goal")
    for name, value in ours.items():
        goal = GOALS[name]
        verdict = "met" if goal.holds(value, theirs[name]) else "MISSED"
        ratio = value / theirs[name]
        print(f"{name:38}{value:12.3f}{theirs[name]:12.3f}{ratio:8.2f}x  {goal.text:12} {verdict}")


if __name__ == "__main__":
    main()
