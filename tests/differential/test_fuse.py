"""A node shown as a file by this server, as QEMU 11.1 shows it: refusals, and what the kernel is answered."""

import contextlib
import ctypes
import errno
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.differential.recorded import check_answers, compare_answers
from tests.peers import qmp_connection
from tests.socket.process import Client, DaemonProcess

SIZE = 1 << 20
INSIDE = 65536

Answers = dict[str, Any]

RECORDING = Path(__file__).parent / "recorded_fuse.json"


def _can_mount() -> bool:
    with contextlib.suppress(OSError):
        os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
        return os.geteuid() == 0
    return False


pytestmark = pytest.mark.skipif(
    not _can_mount(), reason="/dev/fuse cannot be opened, or files not be covered"
)

EXPORTS: list[tuple[str, dict[str, Any]]] = [
    ("none", {"mountpoint": "none"}),
    ("folder", {"mountpoint": "folder"}),
    ("r", {"mountpoint": "r"}),
    ("r", {"mountpoint": "w"}),
    ("again", {"mountpoint": "r"}),
    ("w", {"mountpoint": "w", "writable": True, "allow-other": "off"}),
    ("g", {"mountpoint": "g", "writable": True, "growable": True, "allow-other": "on"}),
    ("bad", {"mountpoint": "none", "allow-other": "perhaps"}),
]


@contextlib.contextmanager
def _qemu(program: str, folder: Path) -> Iterator[Client]:
    monitor = folder / "qmp.sock"
    words = ["--chardev", f"socket,id=c,path={monitor},server=on,wait=off", "--monitor", "c"]
    command = ["timeout", "-k", "1", "30", program, *words]
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL)
    try:
        with qmp_connection(str(monitor)):
            pass  # it listens
        with Client.at(monitor) as client:
            yield client
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _ours(folder: Path) -> Iterator[Client]:
    pytest.importorskip("mfusepy")
    monitor = folder / "qmp.sock"
    words = ("--chardev", f"socket,id=c,path={monitor},server=on,wait=off", "--monitor", "c")
    with DaemonProcess(*words, folder=folder), Client.at(monitor) as client:
        yield client


def _fallocate(fd: int, mode: int, offset: int, length: int) -> int:
    """Call what Python's own function has no modes for; return the size afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fallocate(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(length)):
        raise OSError(ctypes.get_errno(), "fallocate")
    return os.fstat(fd).st_size


def _size_after(fd: int, action: Callable[[], object]) -> tuple[object, int]:
    return action(), os.fstat(fd).st_size


def _shown(path: Path) -> dict[str, int]:
    found = path.stat()
    return {
        name: getattr(found, name)
        for name in ("st_mode", "st_size", "st_nlink", "st_uid", "st_gid", "st_ino")
    }


def _shown_after(path: Path, change: Callable[..., None], *arguments: Any) -> dict[str, int]:
    change(*arguments)
    return _shown(path)


def _allocation(fd: int, mode: int, offset: int) -> Callable[[], int]:
    """Return what allocates from there on, or from so many bytes before or past the end."""

    def allocate() -> int:
        return _fallocate(fd, mode, offset if offset == INSIDE else os.fstat(fd).st_size + offset, 8192)

    return allocate


def _requests(path: Path, fd: int) -> list[tuple[str, Callable[[], Any]]]:
    """What is asked of one file; in order, since some of it changes the file."""

    def sized(action: Callable[[], object]) -> Callable[[], object]:
        return lambda: _size_after(fd, action)

    made: list[tuple[str, Callable[[], Any]]] = [
        ("stat", lambda: _shown(path)),
        ("read", lambda: os.pread(fd, 10, 4090)),
        ("read to the end", lambda: len(os.pread(fd, 10000, SIZE - 100))),
        ("read past the end", lambda: os.pread(fd, 10, SIZE + 10)),
        ("open to write", lambda: os.close(os.open(path, os.O_RDWR))),
        ("write", sized(lambda: os.pwrite(fd, b"x" * 10, 5))),
        ("write over the end", sized(lambda: os.pwrite(fd, b"x" * 1024, SIZE - 512))),
        ("write past the end", sized(lambda: os.pwrite(fd, b"x" * 512, SIZE + 4096))),
        ("shrink", sized(lambda: os.ftruncate(fd, SIZE // 2))),
        ("grow", sized(lambda: os.ftruncate(fd, 2 * SIZE))),
        ("empty", sized(lambda: os.close(os.open(path, os.O_RDWR | os.O_TRUNC)))),
        ("size again", sized(lambda: os.ftruncate(fd, SIZE))),
        ("sync", lambda: os.fsync(fd)),
    ]
    for mode in (0, 1, 2, 3, 16, 17, 8, 32):
        for where, offset in (("inside", INSIDE), ("over the end", -4096), ("past the end", 4096)):
            made.append((f"fallocate {mode} {where}", _allocation(fd, mode, offset)))
    return [
        *made,
        ("data past the end", lambda: os.lseek(fd, 1 << 30, os.SEEK_DATA)),
        ("hole at the end", lambda: os.lseek(fd, os.fstat(fd).st_size, os.SEEK_HOLE)),
        ("let others read", lambda: _shown_after(path, path.chmod, 0o644)),
        ("let nobody read", lambda: _shown_after(path, path.chmod, 0o200)),
        ("give away", lambda: _shown_after(path, os.chown, path, 1, 1)),
        ("set the time", lambda: os.utime(path, (1, 1))),
        ("remove", lambda: os.unlink(path)),
        ("attribute", lambda: os.getxattr(path, "user.x")),
        ("set an attribute", lambda: os.setxattr(path, "user.x", b"y")),
        ("another name", lambda: os.link(path, f"{path}2")),
    ]


def _ask(path: Path, flags: int) -> Answers:
    fd = os.open(path, flags)
    answers: Answers = {}
    try:
        for name, request in _requests(path, fd):
            try:
                answers[name] = request()
            except OSError as error:
                answers[name] = errno.errorcode[error.errno or 0]
    finally:
        os.close(fd)
    return answers


def _perform(folder: Path, client: Client) -> Answers:
    """Show one node three times, and ask everything of each."""
    (folder / "image").write_bytes(b"p" * 4096 + bytes(SIZE - 8192) + b"q" * 4096)
    (folder / "folder").mkdir()
    for name in ("r", "w", "g"):
        (folder / name).touch()
    file = {"driver": "file", "filename": str(folder / "image")}
    client.execute("blockdev-add", **{"driver": "raw", "node-name": "n", "file": file})
    answers: Answers = {}
    for export_id, options in EXPORTS:
        reply = client.execute(
            "block-export-add", **{"type": "fuse", "id": export_id, "node-name": "n", **options}
        )
        answers[f"export {export_id} on {options['mountpoint']}"] = reply
    answers["exports"] = client.execute("query-block-exports")
    for name, flags in (("r", os.O_RDONLY), ("w", os.O_RDWR), ("g", os.O_RDWR)):
        answers |= {f"{name}: {what}": answer for what, answer in _ask(folder / name, flags).items()}
    with (folder / "g").open("rb") as held:
        answers["end"] = client.execute("block-export-del", id="g")
        try:
            answers["read on"] = os.pread(held.fileno(), 10, 0)
        except OSError as error:
            answers["read on"] = errno.errorcode[error.errno or 0]
        with contextlib.suppress(OSError):
            held.close()
    answers["what was covered"] = (folder / "g").stat().st_size
    answers["exports left"] = client.execute("query-block-exports")
    return answers


def _play(program: str, folder: Path) -> Answers:
    folder.mkdir()
    with _ours(folder) if program == "ours" else _qemu(program, folder) as client:
        answers = _perform(folder, client)
        client.execute("quit")
    assert str(folder) not in Path("/proc/mounts").read_text()
    told: Answers = json.loads(json.dumps(answers, default=bytes.decode))
    return told


def test_a_node_is_shown_as_a_file_as_recorded(tmp_path: Path) -> None:
    compare_answers(RECORDING, _play("ours", tmp_path / "ours"))


def test_the_recording_is_what_qemu_answers(tmp_path: Path) -> None:
    check_answers(RECORDING, lambda program: _play(program, tmp_path / "theirs"))
