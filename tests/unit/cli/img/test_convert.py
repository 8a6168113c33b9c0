"""What the host copies by itself, and what goes through memory, make up the same image."""

import asyncio
import json
import os
import random
from pathlib import Path

import pytest

from qmpserver.__main__ import run
from qmpserver.cli.command_line import Given, Tool
from qmpserver.cli.images.images import ImageName, Images
from qmpserver.cli.img.converter import Converter, Settings
from qmpserver.cli.img.progress import Progress
from qmpserver.clock import ManualClock
from qmpserver.units import NS_PER_SECOND
from tests.images import judge, make_qcow2, qemu_img, qemu_io

MiB, UNIT = 1 << 20, 1 << 16


def _make(path: Path, seed: int) -> bytes:
    """Make a disk of long runs of data, in which single units are zero, or zero where they are looked at."""
    rng = random.Random(seed)
    disk = bytearray(rng.randbytes(20 * MiB))
    for unit in rng.sample(range(20 * MiB // UNIT), 12 * seed):
        disk[unit * UNIT : (unit + 1) * UNIT] = bytes(UNIT)
    for unit in rng.sample(range(20 * MiB // UNIT), 6 * seed):
        disk[unit * UNIT + UNIT // 2 :][:64] = bytes(64)
    path.write_bytes(disk)
    return bytes(disk)


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_long_runs_of_data_with_zeroes_in_them(
    tmp_path: Path, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    source, target, back = tmp_path / "source.raw", tmp_path / "target.qcow2", tmp_path / "back.raw"
    disk = _make(source, seed)
    assert run("qmpserver", ["img", "convert", "-f", "raw", "-O", "qcow2", str(source), str(target)]) == 0
    assert capfd.readouterr() == ("", "")
    assert judge(target.read_bytes()) == ([], 0)
    data_units = sum(any(disk[at : at + UNIT]) for at in range(0, len(disk), UNIT))
    # Room that was taken for what turned out to be zero is free again, though not always at the file's end.
    told = json.loads(qemu_img("check", "--output=json", target))
    assert told.get("allocated-clusters", 0) == data_units
    qemu_img("convert", "-O", "raw", target, back)
    assert back.read_bytes() == disk


@pytest.mark.parametrize("cluster_size", ["512", "4k", "64k", "2M"])
@pytest.mark.parametrize("zeroes", [0, 1, 9])
def test_many_runs_of_data_between_holes(tmp_path: Path, cluster_size: str, zeroes: int) -> None:
    source, target, back = tmp_path / "source.raw", tmp_path / "target.qcow2", tmp_path / "back.raw"
    rng = random.Random(zeroes)
    with source.open("wb") as raw:
        for at in range(0, 40 * MiB, MiB):
            raw.seek(at)
            # Some end within a cluster.
            raw.write(rng.randbytes(rng.choice((4096, 3 * UNIT, 5 * UNIT + 4096, MiB // 2))))
        for unit in rng.sample(range(40 * MiB // UNIT), zeroes):
            raw.seek(unit * UNIT)
            raw.write(bytes(UNIT))
    options = ["-f", "raw", "-O", "qcow2", "-o", f"cluster_size={cluster_size}"]
    assert run("qmpserver", ["img", "convert", *options, str(source), str(target)]) == 0
    assert judge(target.read_bytes()) == ([], 0)
    theirs = tmp_path / "theirs.qcow2"
    qemu_img("convert", *options, source, theirs)
    ours_told, theirs_told = (
        json.loads(qemu_img("check", "--output=json", path)) for path in (target, theirs)
    )
    assert ours_told["allocated-clusters"] == theirs_told["allocated-clusters"]
    qemu_img("convert", "-O", "raw", target, back)
    assert back.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
def test_compressed_clusters_and_those_that_do_not_shrink(tmp_path: Path, compression: str) -> None:
    source, target, back = tmp_path / "source.raw", tmp_path / "target.qcow2", tmp_path / "back.raw"
    rng = random.Random(1)
    units = [rng.choice((rng.randbytes(UNIT), b"text" * (UNIT // 4), bytes(UNIT))) for _ in range(60)]
    disk = b"".join(units) + b"short"
    source.write_bytes(disk)
    options = ["-c", "-o", f"compression_type={compression}", "-f", "raw", "-O", "qcow2"]
    assert run("qmpserver", ["img", "convert", *options, str(source), str(target)]) == 0
    assert judge(target.read_bytes()) == ([], 0)
    assert target.stat().st_size < (sum(unit[:4] not in {b"text", bytes(4)} for unit in units) + 9) * UNIT
    qemu_img("convert", "-O", "raw", target, back)
    assert back.read_bytes().rstrip(b"\0") == disk


@pytest.mark.parametrize("options", [(), ("-c",), ("-c", "-o", "compression_type=zstd,cluster_size=2M")])
@pytest.mark.parametrize("seed", range(3))
def test_several_sources_of_any_length_with_holes_anywhere(
    tmp_path: Path, options: tuple[str, ...], seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(seed)
    target, whole = tmp_path / "target.qcow2", tmp_path / "whole.raw"
    sources = [tmp_path / f"{number}.raw" for number in range(1 + seed)]
    for source in sources:
        with source.open("wb") as raw:
            size = 512 * rng.randrange(1, 12000)
            raw.truncate(size)
            for _ in range(8):
                raw.seek(4096 * rng.randrange(size // 4096 + 1))
                raw.write((b"text" * 1024 + rng.randbytes(512)) * rng.randrange(1, 20))
    line = ["-p", *options, "-f", "raw", "-O", "qcow2", *map(str, sources), str(target)]
    assert run("qmpserver", ["img", "convert", *line]) == 0
    shown = capfd.readouterr().out.replace("\r", "\n").split()
    assert max(float(word[1:].partition("/")[0]) for word in shown) == 100
    assert judge(target.read_bytes()) == ([], 0)
    whole.write_bytes(b"".join(source.read_bytes() for source in sources))
    qemu_img("compare", "-f", "raw", "-F", "qcow2", whole, target)


@pytest.mark.parametrize(
    "options",
    ["", "-S 0", "-S 64k", "-c", "-c -S 0", "-c -S 1M -o cluster_size=4k", "-S 512 -o cluster_size=512"],
)
def test_as_many_clusters_are_stored_as_by_qemu(tmp_path: Path, options: str) -> None:
    source = tmp_path / "source.raw"
    rng = random.Random(options)
    with source.open("wb") as raw:
        raw.truncate(9 * MiB + 66048)
        for _ in range(12):
            raw.seek(4096 * rng.randrange(2000))
            # Zeroes that are stored as data, by themselves or before data.
            raw.write(bytes(512 * rng.randrange(300)) + rng.choice((b"", b"data" * 3000)))
    images = []
    for name, convert in (("ours", _convert), ("theirs", qemu_img)):
        convert("convert", *options.split(), "-f", "raw", "-O", "qcow2", source, tmp_path / name)
        qemu_img("compare", "-f", "raw", "-F", "qcow2", source, tmp_path / name)
        told = json.loads(qemu_img("check", "--output=json", tmp_path / name))
        images.append({key: told.get(key) for key in ("allocated-clusters", "compressed-clusters")})
    assert images[0] == images[1]


def _convert(*words: str | Path) -> None:
    assert run("qmpserver", ["img", *map(str, words)]) == 0


@pytest.mark.parametrize("options", [(), ("-c",)])
def test_what_lies_over_a_backing_file_in_parts_of_clusters(tmp_path: Path, options: tuple[str, ...]) -> None:
    base, source, target = (tmp_path / name for name in ("base", "source", "target"))
    make_qcow2(base, "4M")
    qemu_io(base, "write -q -P 1 0 3M")
    make_qcow2(source, "5M", backing_file=base, backing_fmt="qcow2", extended_l2="on")
    rng = random.Random(1)
    offsets = [2048 * rng.randrange(2500) for _ in range(60)]
    qemu_io(source, *(f"write -q {rng.choice(('-P 2', '-z'))} {offset} 10k" for offset in offsets))
    line = [*options, "-B", str(base), "-F", "qcow2", "-O", "qcow2", str(source), str(target)]
    assert run("qmpserver", ["img", "convert", *line]) == 0
    assert judge(target.read_bytes()) == ([], 0)
    qemu_img("compare", source, target)


def test_zeroes_give_the_space_of_a_target_back_that_is_there_already(tmp_path: Path) -> None:
    source, target = tmp_path / "source.raw", tmp_path / "target.raw"
    source.write_bytes(bytes(4 * MiB))
    target.write_bytes(b"x" * 4 * MiB)
    before = target.stat().st_blocks
    words = ["convert", "-n", "-f", "raw", "-O", "raw", str(source), str(target)]
    assert run("qmpserver", ["img", *words]) == 0
    assert target.read_bytes() == bytes(4 * MiB)
    assert target.stat().st_blocks < before


class _PassingClock(ManualClock):
    """A clock on which time passes while somebody sleeps, and only then."""

    async def sleep(self, delay_ns: int) -> None:
        """Turn the clock on."""
        self.advance(delay_ns)


def test_zeroes_that_cannot_be_written_are_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "source.raw", tmp_path / "target.raw"
    source.write_bytes(b"data" * 16384)
    os.truncate(source, MiB)
    target.write_bytes(b"old" * MiB)
    fault = (
        "file.inject-error.0.event=none,file.inject-error.0.iotype=write-zeroes,file.inject-error.0.errno=5"
    )
    image = f"driver=raw,file.driver=blkdebug,file.image.driver=file,file.image.filename={target},{fault}"
    assert (
        run("qmpserver", ["img", "convert", "-n", "-f", "raw", "--target-image-opts", str(source), image])
        == 1
    )
    assert capfd.readouterr().err == "qmpserver img: error while writing at byte 65536: Input/output error\n"


def test_data_takes_the_time_that_its_rate_asks_for_and_zeroes_take_none(tmp_path: Path) -> None:
    source, target = tmp_path / "source.raw", tmp_path / "target.raw"
    source.write_bytes(b"x" * 4 * MiB)
    os.truncate(source, 8 * MiB)
    target.write_bytes(b"")

    async def main() -> int:
        clock = _PassingClock()
        async with Images(Given(Tool("img", "img", "convert"))) as images:
            first = await images.open(ImageName(str(source), "raw"))
            second = await images.open(ImageName(str(target), "raw", writable=True))
            await second.node.truncate(8 * MiB)
            settings = Settings(rate=MiB, is_zero=True)
            await Converter([first.node], second.node, settings, Progress(is_wanted=False), clock).run()
        return clock.monotonic_ns()

    # The last tenth of a second's worth is under way when the rest has had its time.
    taken_ns = asyncio.run(main())
    assert 3.8 * NS_PER_SECOND < taken_ns <= 4 * NS_PER_SECOND
    assert target.read_bytes() == source.read_bytes()
