"""The NBD server for one image as a process of its own, and others' clients at it."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import make_certificates
from tests.images import make_qcow2
from tests.peers import need
from tests.socket.process import OURS, TIMEOUT_S, environment, run_to_end

MIB = 1 << 20
PASS_ON = "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.execv(sys.argv[1], sys.argv[1:])"
"""Becomes the program behind it, as a service manager has it."""


def uri(folder: Path, name: str = "") -> str:
    return f"nbd+unix:///{name}?socket={folder / 's'}"


def client(program: str, *words: str | Path) -> str:
    done = subprocess.run(
        ["timeout", "-k", "1", "20", need(program), *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has made a file."""
    deadline = time.monotonic() + TIMEOUT_S
    while not path.exists():
        assert process.poll() is None, end_of(process)
        assert time.monotonic() < deadline
        time.sleep(0.01)


def end_of(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, complaints = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, complaints.decode()


@contextlib.contextmanager
def serving(
    folder: Path, *words: str, launcher: tuple[str, ...] = (), fds: tuple[int, ...] = (), **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the tool; it lets clients in when the block begins."""
    process = subprocess.Popen(
        [*launcher, *OURS, "nbd", "--pid-file", "ready", *words],
        cwd=folder,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=fds,
    )
    try:
        wait_for(folder / "ready", process)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(MIB))
    return path


def test_it_ends_when_its_client_has_gone_and_what_was_written_is_there(tmp_path: Path) -> None:
    make_qcow2(tmp_path / "a.qcow2", "1M")
    with serving(tmp_path, "-k", str(tmp_path / "s"), "-f", "qcow2", "-x", "disk", "a.qcow2") as server:
        # Who only looks, or asks for what there is not, is no client.
        assert client("nbdinfo", "--list", uri(tmp_path)).count("export=") == 1
        client("qemu-io", "-f", "raw", "-c", "write -P 7 4k 64k", uri(tmp_path, "disk"))
        assert end_of(server) == (0, "")
    assert not (tmp_path / "s").exists()
    assert (tmp_path / "ready").read_text() == f"{server.pid}\n"
    client("qemu-io", "-f", "qcow2", "-c", "read -P 7 4k 64k", tmp_path / "a.qcow2")
    client("qemu-img", "check", tmp_path / "a.qcow2")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_persistent_server_ends_by_a_signal(number: int, image: Path, tmp_path: Path) -> None:
    with serving(tmp_path, "-t", "-k", str(tmp_path / "s"), "-f", "raw", image.name) as server:
        for _ in range(2):
            assert client("nbdinfo", "--size", uri(tmp_path)) == f"{MIB}\n"
        server.send_signal(number)
        assert end_of(server) == (0, "")
    assert not (tmp_path / "s").exists()


def test_as_many_clients_as_it_is_shared_by_come_in_together(image: Path, tmp_path: Path) -> None:
    with serving(tmp_path, "-e", "2", "-k", str(tmp_path / "s"), "-f", "raw", image.name) as server:
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        with contextlib.ExitStack() as held:
            for number, one in enumerate(clients):
                held.enter_context(one)
                one.settimeout(TIMEOUT_S)
                one.connect(str(tmp_path / "s"))
                if number < 2:
                    assert one.recv(8) == b"NBDMAGIC"
            clients[2].setblocking(False)
            with pytest.raises(BlockingIOError):
                clients[2].recv(8)
            clients[0].close()
            clients[2].settimeout(TIMEOUT_S)
            assert clients[2].recv(8) == b"NBDMAGIC"
        # None of them had chosen the export.
        assert client("nbdinfo", "--size", uri(tmp_path)) == f"{MIB}\n"
        assert end_of(server) == (0, "")


def test_in_the_background_it_lets_clients_in_when_the_command_ends(image: Path, tmp_path: Path) -> None:
    words = ["--fork", "--pid-file", "pid", "-k", str(tmp_path / "s"), "-f", "raw", image.name]
    started = run_to_end("nbd", *words, folder=tmp_path)
    assert (started.returncode, started.stdout, started.stderr) == (0, "", "")
    server = os.pidfd_open(int((tmp_path / "pid").read_text()))
    try:
        client("nbdcopy", uri(tmp_path), tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == bytes(MIB)
        assert _ends(server)
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(server, signal.SIGKILL)
        os.close(server)


def _ends(process: int) -> bool:
    ready, _, _ = select.select([process], [], [], TIMEOUT_S)
    return bool(ready)


def test_what_goes_wrong_in_the_background_is_told_by_the_command(image: Path, tmp_path: Path) -> None:
    refused = run_to_end("nbd", "--fork", "-k", str(tmp_path / "s"), "nope", folder=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.endswith("Could not open 'nope': No such file or directory\n")
    # A warning is told too, and makes the status 1, though the server runs.
    warned = run_to_end(
        "nbd", "--fork", "--pid-file", "pid", "-k", str(tmp_path / "s"), image.name, folder=tmp_path
    )
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    assert warned.returncode == 1
    assert warned.stderr.startswith("WARNING: Image format was not specified")


def test_a_service_manager_may_pass_the_socket(image: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        # The place where it is looked for may be taken in this process.
        spare = os.dup(3) if _is_open(3) else None
        os.dup2(listening.fileno(), 3)
        try:
            with serving(
                tmp_path,
                *("-f", "raw", image.name),
                launcher=(sys.executable, "-c", PASS_ON),
                fds=(3,),
                LISTEN_FDS="1",
            ) as server:
                assert client("nbdinfo", "--size", uri(tmp_path)) == f"{MIB}\n"
                assert end_of(server) == (0, "")
        finally:
            os.close(3)
            if spare is not None:
                os.dup2(spare, 3)
                os.close(spare)
    # The socket is its maker's to remove.
    assert (tmp_path / "s").exists()


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_the_image_can_be_kept_as_it_is(image: Path, tmp_path: Path) -> None:
    words = ["-t", "-s", "-k", str(tmp_path / "s"), "-f", "raw", image.name]
    with serving(tmp_path, *words, TMPDIR=str(tmp_path)) as server:
        for command in ("write -P 7 0 64k", "read -P 7 0 64k"):
            client("qemu-io", "-f", "raw", "-c", command, uri(tmp_path))
        server.terminate()
        assert end_of(server) == (0, "")
    assert image.read_bytes() == bytes(MIB)
    assert not list(tmp_path.glob("vl.*"))


def test_a_snapshot_is_offered_as_it_was(tmp_path: Path) -> None:
    path = make_qcow2(tmp_path / "a.qcow2", "1M")
    for pattern in (7, 8):
        client("qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} 0 64k", path)
        if pattern == 7:
            client("qemu-img", "snapshot", "-c", "seven", path)
    with serving(tmp_path, "-k", str(tmp_path / "s"), "-l", "seven", path.name) as server:
        client("qemu-io", "-r", "-f", "raw", "-c", "read -P 7 0 64k", uri(tmp_path))
        assert end_of(server) == (0, "")


def test_part_of_the_image_is_offered(image: Path, tmp_path: Path) -> None:
    image.write_bytes(bytes(4096) + b"\7" * 4096)
    with serving(tmp_path, "-k", str(tmp_path / "s"), "-f", "raw", "-o", "4096", image.name) as server:
        client("qemu-io", "-f", "raw", "-c", "read -P 7 0 4k", "-c", "write -P 9 0 512", uri(tmp_path))
        assert end_of(server) == (0, "")
    assert image.read_bytes() == bytes(4096) + b"\t" * 512 + b"\7" * (4096 - 512)


def test_a_bitmap_is_offered(tmp_path: Path) -> None:
    path = make_qcow2(tmp_path / "a.qcow2", "1M")
    client("qemu-img", "bitmap", "--add", path, "b")
    client("qemu-io", "-f", "qcow2", "-c", "write 128k 64k", path)
    with serving(tmp_path, "-k", str(tmp_path / "s"), "-r", "-A", "-B", "b", path.name) as server:
        told = client("nbdinfo", "--map=qemu:dirty-bitmap:b", uri(tmp_path))
        assert [line.split()[:3] for line in told.splitlines()] == [
            ["0", "131072", "0"],
            ["131072", "65536", "1"],
            ["196608", "851968", "0"],
        ]
        assert end_of(server) == (0, "")


def test_an_image_guessed_to_be_raw_cannot_be_made_another(image: Path, tmp_path: Path) -> None:
    header = tmp_path / "header"
    header.write_bytes(b"QFI\xfb\0\0\0\3".ljust(512, b"\0"))
    with serving(tmp_path, "-k", str(tmp_path / "s"), image.name) as server:
        commands = ["-c", f"write -s {header} 0 512", "-c", "write -P 1 512 512"]
        done = subprocess.run(
            ["timeout", "20", need("qemu-io"), "-f", "raw", *commands, uri(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "write failed: Operation not permitted" in done.stdout
        assert end_of(server)[0] == 0
    assert image.read_bytes() == bytes(512) + b"\1" * 512 + bytes(MIB - 1024)


def test_an_image_that_cannot_be_closed_is_told(tmp_path: Path) -> None:
    make_qcow2(tmp_path / "a.qcow2", "1M")
    rule = "file.inject-error.0.event=none,file.inject-error.0.iotype=flush"
    name = f"driver=qcow2,file.driver=blkdebug,{rule},file.image.driver=file,file.image.filename=a.qcow2"
    with serving(tmp_path, "-k", str(tmp_path / "s"), "--image-opts", name) as server:
        client("qemu-io", "-t", "writeback", "-f", "raw", "-c", "write 0 64k", uri(tmp_path))
        assert end_of(server) == (1, f"qmpserver nbd: Could not close '{name}': Input/output error\n")


def test_it_is_encrypted_and_lists_what_is_encrypted(image: Path, tmp_path: Path) -> None:
    make_certificates(tmp_path / "pki")
    keys = ["--object", "tls-creds-x509,id=t,endpoint={},dir=pki", "--tls-creds", "t"]
    listing = ["nbd", "-L", "-k", str(tmp_path / "s")]
    served = [word.format("server") for word in keys]
    with serving(tmp_path, "-k", str(tmp_path / "s"), "-f", "raw", *served, image.name) as server:
        refused = run_to_end(*listing, folder=tmp_path)
        assert refused.stderr == (
            "qmpserver nbd: TLS negotiation required before option 3 (list)\n"
            "Did you forget a valid tls-creds?\n"
            "server reported: Option 0x3 not permitted before TLS\n"
        )
        asked = [*listing, *(word.format("client") for word in keys)]
        for host, complaint in (
            ([], "No hostname for certificate validation"),
            (["--tls-hostname", "other"], "Certificate does not match the hostname other"),
        ):
            done = run_to_end(*asked, *host, folder=tmp_path)
            assert (done.returncode, done.stderr) == (1, f"qmpserver nbd: {complaint}\n")
        ours = run_to_end(*asked, "--tls-hostname", "localhost", folder=tmp_path)
        assert ours.stdout.startswith(f"exports available: 1\n export: ''\n  size:  {MIB}\n  flags: 0x")
        name = f"driver=nbd,path={tmp_path / 's'},tls-creds=t,tls-hostname=localhost"
        credentials = f"tls-creds-x509,id=t,endpoint=client,dir={tmp_path / 'pki'}"
        client("qemu-img", "info", "--object", credentials, "--image-opts", name)
        assert end_of(server)[0] == 0


def test_what_others_export_is_listed_as_qemu_nbd_lists_it(tmp_path: Path) -> None:
    words = [
        *("--nbd-server", f"addr.type=unix,addr.path={tmp_path / 's'}"),
        *("--blockdev", "driver=null-co,node-name=n,size=3145728,read-zeroes=on"),
        *("--export", "type=nbd,id=a,node-name=n,name=one,writable=on,description=some text"),
        *("--export", "type=nbd,id=b,node-name=n,name="),
        *("--pidfile", str(tmp_path / "ready")),
    ]
    peer = subprocess.Popen(["timeout", "-k", "1", "30", need("qemu-storage-daemon"), *words])
    try:
        wait_for(tmp_path / "ready", peer)
        theirs = client("qemu-nbd", "-L", "-k", tmp_path / "s").splitlines()
        ours = run_to_end("nbd", "-L", "-k", str(tmp_path / "s"), folder=tmp_path)
        # Older ones do not tell the size of transactions.
        assert [line for line in ours.stdout.splitlines() if "transaction" not in line] == [
            line for line in theirs if "transaction" not in line
        ]
    finally:
        peer.terminate()
        peer.wait()
