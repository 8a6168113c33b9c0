"""What a cache mode of the command line makes of a tool's writes."""

from pathlib import Path

import pytest

from qmpserver.__main__ import run
from qmpserver.drivers.blklogwrites import EntryFlag

SECTOR, SIZE = 512, 4096

TOOLS = {
    "img bench": (["img", "bench", "-q", "-w", "-d", "1", "-c", "2", "-s", "4k"], []),
    "io write": (["io"], ["-c", "write -q 0 4k", "-c", "write -q 4k 4k"]),
    "io write -z": (["io"], ["-c", "write -q -z 0 4k", "-c", "write -q -z 4k 4k"]),
}


@pytest.mark.parametrize(("mode", "is_flushed"), [("writethrough", True), ("writeback", False)])
@pytest.mark.parametrize("tool", TOOLS)
def test_each_write_is_on_the_disk_before_the_next_only_with_writethrough(
    tmp_path: Path, tool: str, mode: str, is_flushed: bool
) -> None:
    disk, log = tmp_path / "disk", tmp_path / "log"
    disk.write_bytes(bytes(2 * SIZE))
    log.write_bytes(b"")
    options = f"driver=blklogwrites,file.driver=file,file.filename={disk},log.driver=file,log.filename={log}"
    words, commands = TOOLS[tool]
    assert run("qmpserver", [*words, "-t", mode, "--image-opts", options, *commands]) == 0
    # Behind the superblock, the first entry and its data.
    second = log.read_bytes()[SECTOR + SECTOR + SIZE :]
    flags = EntryFlag(int.from_bytes(second[16:24], "little"))
    assert (EntryFlag.FLUSH in flags) is is_flushed
