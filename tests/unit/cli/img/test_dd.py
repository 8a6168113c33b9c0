"""What is copied as ``dd`` copies it."""

from pathlib import Path

import pytest

from tests.unit.cli.img.disks import UNIT, img


def test_dd_copies_a_part_zeroes_and_all(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    data = bytes(UNIT) + b"x" * 1000 + bytes(5 * UNIT) + b"y" * 3000
    source.write_bytes(data)
    assert img("dd", "-f", "raw", "bs=1000", "skip=60", "count=200", f"if={source}", f"of={target}") == 0
    expected = data[60_000:200_000]
    assert target.read_bytes() == expected.ljust(-(-len(expected) // 512) * 512, b"\0")


@pytest.mark.parametrize(("skip", "complaint"), [(8, ""), (9, "cannot skip to specified offset\n")])
def test_dd_leaves_out_all_there_is_but_no_more(
    tmp_path: Path, skip: int, complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * 4096)
    assert img("dd", "-f", "raw", f"skip={skip}", f"if={source}", f"of={target}") == 0
    assert target.stat().st_size == 0
    assert capfd.readouterr().err == (complaint and f"qmpserver img: {source}: {complaint}")
