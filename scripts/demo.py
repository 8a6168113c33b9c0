"""Stream a chain of three images through a real server, and prove the result byte for byte.

    scripts/demo [--mib N]

Everything is made by this project's own code: the images and their data through the embedded
engine, the stream through a server of its own process, over its UNIX socket.
"""

import argparse
import asyncio
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from qmpserver.server import Server

MIB = 1 << 20
console = Console(highlight=False, soft_wrap=True)


async def make_chain(folder: Path, mib: int) -> None:
    """Make base <- middle <- top, each with data of its own, some of it over the other's."""
    rng = random.Random(2012)
    backing: str | None = None
    async with Server() as server:
        for layer, share in (("base", 0.75), ("middle", 0.25), ("top", 0.1)):
            path = str(folder / f"{layer}.qcow2")
            await server.create_image(path, "qcow2", size=mib * MIB, backing_file=backing)
            file = {"driver": "file", "filename": path}
            await server.execute("blockdev-add", {"driver": "qcow2", "node-name": layer, "file": file})
            async with server.backend(layer, writable=True) as disk:
                for index in rng.sample(range(mib), int(mib * share)):
                    await disk.pwrite(index * MIB, memoryview(rng.randbytes(MIB)))
                await disk.flush()
            await server.execute("blockdev-del", {"node-name": layer})
            console.print(f"  made {layer}.qcow2, {int(mib * share)} MiB of data in {mib} MiB")
            backing = path


async def digest(path: Path, *, alone: bool) -> str:
    """Return the SHA-256 of what an image shows; `alone` without its backing file."""
    options: dict[str, Any] = {
        "driver": "qcow2",
        "node-name": "disk",
        "read-only": True,
        "file": {"driver": "file", "filename": str(path)},
    }
    if alone:
        options["backing"] = None
    total = hashlib.sha256()
    async with Server() as server:
        await server.execute("blockdev-add", options)
        async with server.backend("disk") as disk:
            buffer = bytearray(MIB)
            for offset in range(0, disk.node.size, MIB):
                await disk.pread(offset, memoryview(buffer))
                total.update(buffer)
    return total.hexdigest()


class Client:
    """A QMP client of the plainest kind."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.events: list[dict[str, Any]] = []

    @classmethod
    async def connect(cls, path: Path) -> "Client":
        """Connect, waiting for the server to listen, and leave negotiation mode."""
        while not path.exists():
            await asyncio.sleep(0.01)
        client = cls(*await asyncio.open_unix_connection(str(path), limit=64 * MIB))
        greeting = orjson.loads(await client._reader.readline())
        console.print(f"  greeting: {greeting['QMP']['version']['package']}")
        await client.execute("qmp_capabilities")
        return client

    async def execute(self, command: str, **arguments: Any) -> Any:
        """Run one command; events met on the way are kept in `events`."""
        wire = {name.replace("_", "-"): value for name, value in arguments.items()}
        self._writer.write(orjson.dumps({"execute": command, "arguments": wire}) + b"\n")
        while True:
            message = orjson.loads(await self._reader.readline())
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise SystemExit(f"{command}: {message['error']['desc']}")
            else:
                return message["return"]

    def show_events(self) -> None:
        """Print the events met so far."""
        for event in self.events:
            console.print(f"  event {event['event']} {orjson.dumps(event['data']).decode()}")
        self.events.clear()


async def stream(folder: Path, mib: int) -> None:
    """Stream the chain into its top, slowly at first, then as fast as it goes."""
    client = await Client.connect(folder / "qmp.sock")
    file = {"driver": "file", "filename": str(folder / "top.qcow2")}
    await client.execute("blockdev-add", driver="qcow2", node_name="top", file=file)
    slow = max(mib // 6, 1) * MIB
    await client.execute("block-stream", job_id="demo", device="top", speed=slow)
    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("streaming, slowly", total=mib * MIB)
        is_slow = True
        while jobs := await client.execute("query-block-jobs"):
            progress.update(bar, completed=jobs[0]["offset"])
            if is_slow and jobs[0]["offset"] * 3 > mib * MIB:
                await client.execute("block-job-set-speed", device="demo", speed=0)
                progress.update(bar, description="streaming, at full speed")
                is_slow = False
            await asyncio.sleep(0.02)
        progress.update(bar, completed=mib * MIB)
    client.show_events()
    await client.execute("quit")


async def run(mib: int) -> None:
    """Make, stream and prove."""
    with tempfile.TemporaryDirectory(prefix="qmpserver-demo-") as name:
        folder = Path(name)
        console.print("[bold]1. A chain of three images")
        await make_chain(folder, mib)
        before = await digest(folder / "top.qcow2", alone=False)
        console.print("[bold]2. A server streams it, over a UNIX socket")
        began = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "qmpserver", "--log-level", "warning", "--qmp", f"unix:{folder}/qmp.sock"]
        ) as server:
            await stream(folder, mib)
            server.wait(30)
        console.print(f"  took {time.monotonic() - began:.1f} s")
        console.print("[bold]3. The top image alone now holds what the chain held")
        after = await digest(folder / "top.qcow2", alone=True)
        console.print(f"  before, whole chain: {before}\n  after, top alone:    {after}")
        if before != after:
            raise SystemExit("the result differs")
        console.print("[bold green]the same, byte for byte")


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=int, default=256, help="size of the disk in MiB")
    asyncio.run(run(parser.parse_args().mib))


if __name__ == "__main__":
    main()
