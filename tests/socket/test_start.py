"""What a start must not load: each of these takes time that nobody gets anything for."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.images import make_qcow2
from tests.socket.process import OURS, Client, DaemonProcess, environment

TELL = """
import atexit, sys
atexit.register(lambda: sys.stderr.write(" ".join(sys.modules)))
from qmpserver.__main__ import run
sys.exit(run("qmpserver", sys.argv[1:]))
"""
"""The program, which says at its end what it has loaded."""

PACKAGES = frozenset(("cryptography", "numpy", "structlog"))
"""Other people's packages that few uses of any tool need."""

NEVER_BY_TOOLS = PACKAGES | {
    "_ctypes",
    "_ssl",
    "asyncio.events",
    "dis",  # what `inspect` is made of
    "logging.handlers",
    "orjson",
    "pathlib",
    "qmpserver.binding",
    "qmpserver.commands",
    "qmpserver.crypto",
    "qmpserver.daemon",
    "qmpserver.exports",
    "qmpserver.jobs",
    "qmpserver.monitor",
    "qmpserver.qom",
    "qmpserver.throttling",
    "random",
    "socket",
    "subprocess",
    "traceback",
    "uvloop",
}
QCOW2_EXTRAS = frozenset(
    f"qmpserver.drivers.qcow2.{name}"
    for name in (
        "amend",
        "compressed",
        "create",
        "encryption",
        "preallocation",
        "resize",
        "snapshot_actions",
        "subcluster_allocation",
        "subclusters",
    )
)
DRIVERS = frozenset(f"qmpserver.drivers.{name}" for name in ("encryption", "luks", "nbd", "raw", "throttle"))
CHECK = frozenset(("qmpserver.drivers.qcow2.check", "qmpserver.drivers.qcow2.check_walk"))


NOT_BY_DAEMON = {
    "pathlib",
    "qmpserver.crypto",
    "qmpserver.drivers",
    "qmpserver.exports.nbd_server",
    "qmpserver.jobs.mirror",
    "qmpserver.throttling.group",
}


def loaded(*words: str, folder: Path) -> set[str]:
    """Run the program to its end, and return what it has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", TELL, *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return with_packages(done.stderr.split())


def with_packages(modules: list[str]) -> set[str]:
    """Add the packages that modules are in."""
    names = set(modules)
    for module in modules:
        parts = module.split(".")
        names |= {".".join(parts[:end]) for end in range(1, len(parts))}
    return names


@pytest.mark.parametrize(
    "words", [["--version"], ["img", "--version"], ["io", "--version"], ["nbd", "--version"]]
)
def test_to_tell_its_version_takes_none_of_the_house(words: list[str], tmp_path: Path) -> None:
    rooms = {"qmpserver.block", "qmpserver.drivers", "qmpserver.engine", "qmpserver.schema"}
    assert sorted(loaded(*words, folder=tmp_path) & (NEVER_BY_TOOLS | rooms)) == []


@pytest.mark.parametrize(
    ("command", "spared"),
    [
        ("info", QCOW2_EXTRAS | CHECK),
        ("map", QCOW2_EXTRAS | CHECK),
        ("check", QCOW2_EXTRAS - {"qmpserver.drivers.qcow2.subclusters"}),
    ],
)
def test_to_look_at_an_image_takes_no_event_loop_and_none_of_the_extras(
    command: str, spared: frozenset[str], tmp_path: Path
) -> None:
    make_qcow2(tmp_path / "image.qcow2", "64M", preallocation="metadata")
    seen = loaded("img", command, "image.qcow2", folder=tmp_path)
    assert "qmpserver.drivers.qcow2.driver" in seen
    assert sorted(seen & (NEVER_BY_TOOLS | DRIVERS | spared)) == []
    # To describe an image, or what was found in it, takes a few.
    assert command != "map" or "dataclasses" not in seen


def test_to_have_the_host_copy_takes_no_event_loop_and_no_schema(tmp_path: Path) -> None:
    (tmp_path / "image.raw").write_bytes(bytes(range(1, 256)) * 4096)
    seen = loaded("img", "convert", "-f", "raw", "-O", "qcow2", "image.raw", "image.qcow2", folder=tmp_path)
    assert "qmpserver.drivers.qcow2.create" in seen
    rest = NEVER_BY_TOOLS - {"_ctypes"} | {"qmpserver.schema.model"}
    assert sorted(seen & rest) == []


def test_to_write_an_image_takes_neither_tls_nor_ciphers(tmp_path: Path) -> None:
    (tmp_path / "image.raw").write_bytes(bytes(range(256)) * 4096)
    seen = loaded(
        "img", "convert", "-c", "-f", "raw", "-O", "qcow2", "image.raw", "image.qcow2", folder=tmp_path
    )
    assert {"asyncio.events", "qmpserver.drivers.qcow2.create"} <= seen
    assert sorted(seen & (PACKAGES | {"_ssl", "qmpserver.crypto", "qmpserver.drivers.encryption"})) == []


def test_a_daemon_greets_before_it_loads_what_only_commands_need(tmp_path: Path) -> None:
    options = ("--chardev", "socket,id=c,path=qmp.sock,server=on,wait=off", "--monitor", "chardev=c")
    launcher = (sys.executable, "-c", TELL.replace("[1:]", f"[{len(OURS) + 1}:]"))
    with (
        DaemonProcess(*options, folder=tmp_path, launcher=launcher) as daemon,
        Client.at(tmp_path / "qmp.sock"),
    ):
        status, said = daemon.end(signal.SIGTERM)
    assert status == 0, said
    seen = with_packages(said.split())
    assert {name for name in seen if name.startswith("qmpserver.commands.")} == {"qmpserver.commands.control"}
    assert sorted(seen & (PACKAGES | DRIVERS | NOT_BY_DAEMON)) == []


@pytest.mark.parametrize("command", ["info", "map", "check"])
def test_output_that_finds_no_room_is_told(command: str, tmp_path: Path) -> None:
    make_qcow2(tmp_path / "image.qcow2", "64M")
    words = [sys.executable, "-m", "qmpserver", "img", command, "image.qcow2"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            words,
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == f"qmpserver img: {os.strerror(errno.ENOSPC)}\n"


def test_what_was_said_is_said_whole_before_the_end(tmp_path: Path) -> None:
    path = make_qcow2(tmp_path / "image.qcow2", "64M")
    words = [sys.executable, "-m", "qmpserver", "img", "info", path.name, "nothing.qcow2"]
    done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Expecting one image file name" in done.stderr
    done = subprocess.run(
        words[:-1], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("image: image.qcow2\n")
    assert done.stdout.endswith(" KiB\n")
