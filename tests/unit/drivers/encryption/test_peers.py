"""The real QEMU tools and the drivers read what the other encrypted, with every cipher that both have."""

import asyncio
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.surroundings import Surroundings
from qmpserver.drivers.luks import LuksDriver
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from tests.contract.engine import Context, Engine, MemoryFile
from tests.peers import need

SIZE = 1 << 20
SECRETS = {"s": b"pass"}
AROUND = Surroundings(secret=SECRETS.__getitem__)
OBJECT = ("--object", "secret,id=s,data=pass")


def luks(**options: Any) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return {"format": "luks", "key-secret": "s", "iter-time": 0, **named}


AES: dict[str, Any] = {"format": "qcow", "key-secret": "s"}
CREATED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (luks(), {}),
    (luks(cipher_alg="aes-192", hash_alg="sha1"), {"preallocation": "metadata"}),
    (luks(cipher_mode="cbc", ivgen_alg="essiv"), {"cluster-size": 4096}),
    (luks(cipher_mode="ctr", cipher_alg="aes-128", hash_alg="sha512"), {"extended-l2": True}),
    (luks(cipher_mode="ecb", ivgen_alg="plain"), {"extended-l2": True, "preallocation": "metadata"}),
    (luks(ivgen_alg="essiv", hash_alg="sha384"), {"version": "v2", "preallocation": "full"}),
    (luks(cipher_alg="aes-128"), {"cluster-size": 512}),
    (AES, {"cluster-size": 4096}),
    (AES, {"extended-l2": True, "preallocation": "falloc"}),
]
UNLUCKY = "Unable to get accurate CPU usage"
"""What an older QEMU now and then says on a busy machine, instead of making a header."""


def run_tool(program: str, *arguments: str | Path) -> None:
    for _ in range(10):
        done = subprocess.run(
            [need(program), *arguments], capture_output=True, text=True, check=False, timeout=60
        )
        if UNLUCKY not in done.stderr:
            break
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed" not in done.stdout + done.stderr


def opts(path: Path, method: str) -> tuple[str, ...]:
    """Return how the tools are told to open an image."""
    prefix = "" if method == "luks" else "encrypt."
    return *OBJECT, "--image-opts", f"driver={method},file.filename={path},{prefix}key-secret=s"


def qemu_compares(path: Path, method: str, content: bytes) -> None:
    plain = path.with_suffix(".plain")
    plain.write_bytes(content)
    raw = f"driver=raw,file.filename={plain}"
    run_tool("qemu-img", "compare", *opts(path, method), raw)


async def open_qcow2(file: BlockChild, method: str) -> BlockDriver:
    options = {"encrypt": {"format": method, "key-secret": "s"}}
    return await Qcow2Driver.open(Context({"file": file}, options=options, surroundings=AROUND))


async def exercise(engine: Engine, content: bytearray, rng: random.Random) -> None:
    """Write here and there, unaligned as well, and keep the model in step."""
    for _ in range(6):
        offset = rng.randrange(SIZE - 70000)
        data = rng.randbytes(rng.choice((100, 512, 70000)))
        await engine.write(offset, data)
        content[offset : offset + len(data)] = data


@pytest.mark.parametrize("method", ["luks", "aes"])
def test_qemus_encrypted_image_is_read_and_written(tmp_path: Path, method: str) -> None:
    path = tmp_path / "i.qcow2"
    wanted = f"encrypt.format={method},encrypt.key-secret=s,cluster_size=4096"
    wanted += ",encrypt.iter-time=10" if method == "luks" else ""
    run_tool("qemu-img", "create", "-q", *OBJECT, "-f", "qcow2", "-o", wanted, path, str(SIZE))
    run_tool("qemu-io", *opts(path, "qcow2"), "-c", "write -P 7 0 64k", "-c", "write -P 9 300000 1000")
    content = bytearray(b"\7" * 65536).ljust(SIZE, b"\0")
    content[300000:301000] = b"\x09" * 1000
    exchange(path, method, content)


@pytest.mark.parametrize(("encrypt", "options"), CREATED, ids=str)
def test_our_encrypted_image_is_read_and_written_by_qemu(
    tmp_path: Path, encrypt: dict[str, Any], options: dict[str, Any]
) -> None:
    path, file = tmp_path / "i.qcow2", MemoryFile()
    wanted = {"size": SIZE, "encrypt": encrypt, **options}
    asyncio.run(Qcow2Driver.create(file, wanted, SECRETS.__getitem__))
    path.write_bytes(file.data)
    run_tool("qemu-io", *opts(path, "qcow2"), "-c", "write -P 7 0 64k", "-c", "write -P 9 300000 1000")
    content = bytearray(b"\7" * 65536).ljust(SIZE, b"\0")
    content[300000:301000] = b"\x09" * 1000
    exchange(path, encrypt["format"].replace("qcow", "aes"), content)


def exchange(path: Path, method: str, content: bytearray) -> None:
    """Read an image that QEMU wrote, write it, and have QEMU read it."""
    file = MemoryFile(path.read_bytes())

    async def run() -> None:
        engine = Engine(await open_qcow2(file, method))
        assert await engine.read(0, SIZE) == content
        await exercise(engine, content, random.Random(method))
        await engine.driver.close()

    asyncio.run(run())
    path.write_bytes(file.data)
    run_tool("qemu-img", "check", *opts(path, "qcow2"))
    qemu_compares(path, "qcow2", bytes(content))


def test_our_luks_volume_is_read_and_written_by_qemu(tmp_path: Path) -> None:
    path, file, content = tmp_path / "i.luks", MemoryFile(), bytearray(b"\5" * SIZE)
    options = {"size": SIZE, "key-secret": "s", "iter-time": 10}
    asyncio.run(LuksDriver.create(file, options, SECRETS.__getitem__))
    path.write_bytes(file.data)
    run_tool("qemu-io", *opts(path, "luks"), "-c", f"write -P 5 0 {SIZE}")
    asyncio.run(read_and_write_luks(MemoryFile(path.read_bytes()), content))


async def read_and_write_luks(file: MemoryFile, content: bytearray) -> None:
    context = Context({"file": file}, options={"key-secret": "s"}, surroundings=AROUND)
    driver = await LuksDriver.open(context)
    into = bytearray(SIZE)
    await driver.pread(0, memoryview(into), 0)
    assert into == content
    content[512:70144] = random.Random(0).randbytes(69632)
    await driver.pwrite(0, memoryview(content), 0)
