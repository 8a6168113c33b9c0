"""Others' clients at our server, others' servers for our client, in the clear and encrypted."""

import contextlib
import json
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import make_certificates
from tests.images import make_qcow2
from tests.peers import nbd_peer, need
from tests.socket.process import Client, DaemonProcess

MIB = 1 << 20
SIZE = 8 * MIB


def run(program: str, *words: str | Path) -> str:
    done = subprocess.run(
        ["timeout", "-k", "1", "20", need(program), *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_data(path: Path) -> bytes:
    """Make a raw image with data, holes, and data again."""
    data = random.Random(1).randbytes(2 * MIB) + bytes(3 * MIB) + random.Random(2).randbytes(MIB)
    with path.open("wb") as out:
        out.write(data[: 2 * MIB])
        out.seek(5 * MIB)
        out.write(data[5 * MIB :])
        out.truncate(SIZE)
    return data.ljust(SIZE, b"\0")


@contextlib.contextmanager
def serving(folder: Path, *words: str) -> Iterator[str]:
    """Serve a new qcow2 image as `disk`, and give its name."""
    make_qcow2(folder / "served.qcow2", str(SIZE))
    blockdev = "driver=qcow2,node-name=n,discard=unmap,file.driver=file,file.filename=served.qcow2"
    server = "addr.type=unix,addr.path=nbd.sock"
    export = "type=nbd,id=e,node-name=n,name=disk,description=a disk,writable=on"
    options = [*words, "--blockdev", blockdev, "--nbd-server", server, "--export", export]
    with DaemonProcess(*options, folder=folder):
        yield f"nbd+unix:///disk?socket={folder / 'nbd.sock'}"


def test_nbdinfo_sees_the_export_and_its_holes(tmp_path: Path) -> None:
    need("nbdinfo")
    with serving(tmp_path) as uri:
        (export,) = json.loads(run("nbdinfo", "--json", uri))["exports"]
        assert export["export-name"] == "disk"
        assert export["description"] == "a disk"
        assert export["export-size"] == SIZE
        assert export["contexts"] == ["base:allocation"]
        assert export["is_read_only"] is False
        wanted = ("cache", "df", "fast_zero", "flush", "fua", "multi_conn", "trim", "zero")
        assert all(export[f"can_{what}"] for what in wanted)
        run("qemu-io", "-f", "raw", "-c", "write -P 7 1M 1M", uri)
        runs = json.loads(run("nbdinfo", "--map", "--json", uri))
        told = [(run["offset"], run["length"], run["type"]) for run in runs]
        assert told == [(0, MIB, 3), (MIB, MIB, 0), (2 * MIB, SIZE - 2 * MIB, 3)]
        listed = json.loads(run("nbdinfo", "--list", "--json", uri.replace("/disk", "/")))["exports"]
        assert [entry["export-name"] for entry in listed] == ["disk"]


def test_nbdcopy_carries_an_image_in_and_out(tmp_path: Path) -> None:
    need("nbdcopy")
    data = make_data(tmp_path / "in.raw")
    with serving(tmp_path) as uri:
        run("nbdcopy", "--flush", tmp_path / "in.raw", uri)
        run("nbdcopy", uri, tmp_path / "out.raw")
        assert (tmp_path / "out.raw").read_bytes() == data
    run("qemu-img", "check", tmp_path / "served.qcow2")


def test_fio_verifies_what_it_wrote(tmp_path: Path) -> None:
    engines = run("fio", "--enghelp")
    if "nbd" not in engines:
        pytest.skip("this fio has no NBD engine")
    with serving(tmp_path) as uri:
        load = [
            "--name=x",
            "--verify_state_save=0",
            "--ioengine=nbd",
            f"--uri={uri}",
            "--rw=randwrite",
            "--bs=512-64k",
        ]
        run("fio", *load, "--iodepth=16", f"--size={SIZE}", "--verify=crc32c", "--do_verify=1", "--thread")


def test_nbdsh_sends_what_no_program_would(tmp_path: Path) -> None:
    """Flags and ranges beyond the export are refused by the server when the library lets them through."""
    # It runs on the system's own Python, whichever one the tests run on.
    nbdsh = ["env", f"PATH={os.defpath}", need("nbdsh")]
    probe = subprocess.run([*nbdsh, "-c", "pass"], capture_output=True, check=False)
    if probe.returncode and os.environ.get("QMPSERVER_REQUIRE_PEERS") != "1":
        pytest.skip("python3-libnbd is not installed")
    with serving(tmp_path) as uri:
        run(
            *nbdsh,
            "-u",
            uri,
            "-c",
            "h.set_strict_mode(0)\n"
            "for ask in (lambda: h.pread(512, 1 << 40), lambda: h.zero(1 << 31, 1 << 33)):\n"
            "    try: ask()\n"
            "    except nbd.Error: pass\n"
            "    else: raise SystemExit('not refused')\n"
            "h.pwrite(b'x' * 512, 0); assert h.pread(512, 0) == b'x' * 512",
        )


def _stream_from(folder: Path, server: dict[str, Any], **options: Any) -> bytes:
    """Stream an NBD base into a new overlay, and return what the overlay holds then."""
    make_qcow2(folder / "top.qcow2", str(SIZE))
    monitor = folder / "qmp.sock"
    words = ("--chardev", f"socket,id=c,path={monitor},server=on,wait=off", "--monitor", "c")
    with DaemonProcess(*words, folder=folder), Client.at(monitor) as client:

        def execute(command: str, **arguments: Any) -> None:
            reply = client.execute(
                command, **{key.replace("_", "-"): value for key, value in arguments.items()}
            )
            assert "return" in reply, reply

        if "tls-creds" in options:
            execute("object-add", qom_type="tls-creds-x509", id="tls", dir="tls", endpoint="client")
        base = {"driver": "nbd", "node-name": "base", "server": server, "read-only": True, **options}
        execute("blockdev-add", **base)
        file = {"driver": "file", "filename": "top.qcow2"}
        backing = {"driver": "raw", "file": "base", "read-only": True}
        execute("blockdev-add", driver="qcow2", node_name="top", file=file, backing=backing)
        execute("block-stream", job_id="j", device="top")
        while client.receive().get("event") != "BLOCK_JOB_COMPLETED":
            pass
    run("qemu-img", "convert", "-O", "raw", folder / "top.qcow2", folder / "copied.raw")
    return (folder / "copied.raw").read_bytes()


def test_a_stream_from_nbdkit_copies_only_data(tmp_path: Path) -> None:
    data = make_data(tmp_path / "base.raw")
    path = tmp_path / "peer.sock"
    with nbd_peer("nbdkit", "-f", "-U", path, "file", tmp_path / "base.raw", path=path):
        assert _stream_from(tmp_path, {"type": "unix", "path": str(path)}) == data
    allocated = json.loads(run("qemu-img", "map", "--output=json", tmp_path / "top.qcow2"))
    assert sum(run["length"] for run in allocated if run["data"]) == 3 * MIB


def test_a_stream_from_qemu_nbd_over_tls(tmp_path: Path) -> None:
    data = make_data(tmp_path / "base.raw")
    folder = make_certificates(tmp_path / "tls")
    path = tmp_path / "peer.sock"
    creds = f"tls-creds-x509,id=tls,dir={folder},endpoint=server,verify-peer=on"
    words: list[str | Path] = [
        "--object",
        creds,
        "--tls-creds",
        "tls",
        "-t",
        "-r",
        "-f",
        "raw",
        "-x",
        "base",
        "-k",
        path,
    ]
    with nbd_peer("qemu-nbd", *words, tmp_path / "base.raw", path=path):
        server = {"type": "unix", "path": str(path)}
        options = {"tls-creds": "tls", "tls-hostname": "localhost", "export": "base"}
        assert _stream_from(tmp_path, server, **options) == data


def test_nbdinfo_and_qemu_come_in_over_tls_and_nobody_in_the_clear(tmp_path: Path) -> None:
    folder = make_certificates(tmp_path / "tls")
    make_qcow2(tmp_path / "served.qcow2", str(SIZE))
    words = [
        "--object",
        "tls-creds-x509,id=tls,dir=tls,endpoint=server,verify-peer=on",
        "--blockdev",
        "driver=qcow2,node-name=n,file.driver=file,file.filename=served.qcow2",
        "--nbd-server",
        "addr.type=unix,addr.path=nbd.sock,tls-creds=tls",
        "--export",
        "type=nbd,id=e,node-name=n,name=disk,writable=on",
    ]
    with DaemonProcess(*words, folder=tmp_path):
        path = tmp_path / "nbd.sock"
        uri = f"nbds+unix:///disk?socket={path}&tls-certificates={folder}&tls-verify-peer=false"
        (export,) = json.loads(run("nbdinfo", "--json", uri))["exports"]
        assert export["export-size"] == SIZE
        creds = f"tls-creds-x509,id=tls,dir={folder},endpoint=client"
        options = (
            f"driver=nbd,server.type=unix,server.path={path},export=disk,tls-creds=tls,tls-hostname=localhost"
        )
        commands = ("-c", "write -P 3 0 4M", "-c", "read -P 3 0 4M", "-c", "flush")
        run("qemu-io", "--object", creds, "--image-opts", options, *commands)
        with pytest.raises(AssertionError):
            run("nbdinfo", "--json", f"nbd+unix:///disk?socket={path}")
