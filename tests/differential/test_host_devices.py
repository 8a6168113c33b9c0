"""What is done to a block device of the host ends as it does with QEMU, and leaves the same bytes."""

import hashlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loop_devices import loop_device
from tests.peers import need

SIZE = 4 << 20
STALE = b"\xa5stale bytes that nobody has made zero" * 128

OURS = {
    name: [sys.executable, "-m", "qmpserver", name.removeprefix("qemu-")] for name in ("qemu-img", "qemu-io")
}

LINES = [
    ("qemu-img", "info --image-opts driver=file,filename={device}"),
    ("qemu-img", "info --image-opts driver=host_device,filename={folder}/src"),
    ("qemu-img", "create -f raw host_device:{device} 1M"),
    ("qemu-img", "create -f raw -o preallocation=full {device} 1M"),
    ("qemu-img", "create -f qcow2 -b {device} -F raw {folder}/over"),
    ("qemu-img", "convert -n -O raw -f raw {folder}/src {device}"),
    ("qemu-img", "convert -O raw -f raw {folder}/big {device}"),
    ("qemu-img", "dd -f raw -O raw bs=64k if={folder}/src of={device}"),
    ("qemu-io", "-f raw -c 'truncate 4M' -c length -c 'truncate 8M' {device}"),
    (
        "qemu-io",
        "-f raw -t none -c 'write -P 7 100 10' -c 'write -z 4k 1k' -c 'write -zu 64k 64k' -c 'read -v 90 32' {device}",
    ),
    ("qemu-io", "-f raw -c 'write 4M 512' -c 'read 4194048 512' -c 'write 4194048 512' {device}"),
    ("qemu-io", "-r -c 'read 0 512' -f raw host_cdrom:{device}"),
]


def outcome(program: list[str], line: str, folder: Path) -> tuple[int, str, str]:
    """Run a line on a new device, and return how it ended, what it said and what the device holds."""
    folder.mkdir()
    (folder / "src").write_bytes(bytes(range(256)) * 4096)
    (folder / "big").write_bytes(bytes(2 * SIZE))
    with loop_device(folder, STALE.ljust(SIZE, b"\x5a")) as device:
        given = [word.format(device=device, folder=folder) for word in shlex.split(line)]
        done = subprocess.run(
            ["timeout", "20", *program, *given], capture_output=True, text=True, check=False, cwd=folder
        )
        held = hashlib.sha256(Path(device).read_bytes()).hexdigest()
        said = (done.stdout + done.stderr).replace(device, "DEVICE").replace(str(folder), "FOLDER")
    said = re.sub(r"^qmpserver (img|io):", r"qemu-\1:", said, flags=re.MULTILINE)
    return done.returncode, re.sub(r"[\d.]+ sec.*", "SEC", said), held


@pytest.mark.parametrize(("program", "line"), LINES, ids=[line for _, line in LINES])
def test_a_line_ends_alike_on_a_block_device(program: str, line: str, tmp_path: Path) -> None:
    theirs = outcome([need(program)], line, tmp_path / "theirs")
    assert outcome(OURS[program], line, tmp_path / "ours") == theirs


def test_an_image_that_is_made_on_a_device_does_not_show_what_was_there(tmp_path: Path) -> None:
    image = need("qemu-img")
    (tmp_path / "src").write_bytes(b"data" * 65536)
    with loop_device(tmp_path, STALE.ljust(SIZE, b"\x5a")) as device:
        ours = OURS["qemu-img"]
        subprocess.run(
            [*ours, "convert", "-f", "raw", "-O", "qcow2", str(tmp_path / "src"), device], check=True
        )
        checked = subprocess.run([image, "check", device], capture_output=True, text=True, check=True)
        assert "No errors were found" in checked.stdout
        subprocess.run(
            [image, "compare", "-f", "raw", "-F", "qcow2", str(tmp_path / "src"), device], check=True
        )
        refused = subprocess.run(
            [*ours, "create", "-f", "qcow2", "-o", "preallocation=full", device, "1G"], check=False
        )
        assert refused.returncode
        assert Path(device).is_block_device()
