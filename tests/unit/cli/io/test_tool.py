"""The tool as a whole, where the recorded stories cannot show it."""

import io
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qmpserver.__main__ import run


@pytest.fixture
def image(tmp_path: Path) -> str:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(4096))
    return str(path)


def _io(*commands: str, options: tuple[str, ...], program: str = "qemu-io") -> int:
    words = [word for command in commands for word in ("-c", command)]
    return run(program, [*(["io"] if program == "qmpserver" else []), *options, *words])


def test_it_goes_by_the_name_it_was_called_by(
    image: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("length\n"))
    assert _io(options=("-f", "raw", image), program="qmpserver") == 0
    assert capfd.readouterr().out == "qmpserver io> 4 KiB\nqmpserver io> "
    assert _io("truncate -m nix 1", options=("-f", "raw", image), program="qmpserver") == 1
    assert capfd.readouterr().err == "qmpserver io: Invalid preallocation mode 'nix'\n"


def test_an_image_guessed_to_be_raw_never_begins_like_another_format(
    image: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    head = tmp_path / "head"
    head.write_bytes(b"FI\xfb\0\0\0\3" + bytes(505))
    assert _io("write -P 0x51 0 1", f"write -s {head} 1 511", "aio_write -P 0 0 1", options=(image,)) == 1
    printed = capfd.readouterr().out
    assert "write failed: Operation not permitted" in printed
    # Byte by byte it cannot be had either.
    assert Path(image).read_bytes()[1:] == bytes(4095)


def test_a_request_at_a_breakpoint_is_let_go_at_the_end(
    image: str, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ("-f", "raw", f"blkdebug::{image}")
    assert _io("break pwritev A", "aio_write -q -P 7 0 512", "wait_break A", "quit", options=options) == 0
    assert capfd.readouterr().out == ("blkdebug: Suspended request 'A'\nblkdebug: Resuming request 'A'\n")
    assert Path(image).read_bytes()[:513] == b"\7" * 512 + b"\0"


def test_where_there_are_no_breakpoints_none_is_waited_for(
    image: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _io("wait_break A", options=("-f", "raw", image)) == 1
    assert capfd.readouterr().out == "Could not wait for a breakpoint: Operation not supported\n"


def test_a_temporary_overlay_leaves_nothing_behind(
    image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    assert _io("write -P 5 0 4k", "read -P 5 0 4k", options=("-s", "-f", "raw", image)) == 0
    assert Path(image).read_bytes() == bytes(4096)
    assert not list(folder.iterdir())
    assert "Pattern" not in capfd.readouterr().out


@pytest.mark.parametrize(("discard", "status"), [("unmap", 0), ("ignore", 1)])
def test_a_temporary_overlay_takes_discards_unless_they_are_ignored(
    tmp_path: Path, discard: str, status: int
) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"a" * 65536)
    options = ("-s", "-d", discard, "-f", "raw", str(image))
    assert _io("discard -q 0 64k", "read -q -P 0 0 64k", options=options) == status


def test_requests_that_were_begun_come_before_one_that_is_made_at_once(
    capfd: pytest.CaptureFixture[str],
) -> None:
    options = ("--image-opts", "driver=null-co,size=4k")
    assert _io("aio_read 0 512", "read 512 512", options=options) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[::2] == ["read 512/512 bytes at offset 0", "read 512/512 bytes at offset 512"]


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("abort", -signal.SIGABRT),
        ("sigraise 15", -signal.SIGTERM),
        ("sigraise 2", -signal.SIGINT),
        ("sigraise 10", 0),
    ],
)
def test_it_ends_by_signals(command: str, status: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "qmpserver", "io", "-c", "help quit", "-c", command],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ended.returncode == status, ended.stderr
    assert ended.stdout.startswith("quit -- ")
