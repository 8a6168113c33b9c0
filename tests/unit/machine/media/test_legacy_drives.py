"""What ``-drive`` says becomes a drive with its medium, or nothing at all."""

import os
from pathlib import Path

import pytest

from qmpserver.errors import QMPError
from tests.unit.machine.media.fake_device import Bench, on_bench


def write(path: str, data: bytes) -> None:
    Path(path).write_bytes(data)


@on_bench
async def test_a_drive_without_anything_is_empty(bench: Bench) -> None:
    drive = await bench.add_legacy({})
    assert (drive.name, drive.medium) == ("ide0-hd0", None)


@on_bench
async def test_a_medium_of_a_temporary_overlay_is_written_to_nothing_that_stays(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    image = tmp_path / "image"
    image.write_bytes(b"a" * (1 << 20))
    drive = await bench.add_legacy({"if": "none", "file": str(image), "format": "raw", "snapshot": "on"})
    await drive.requests.pwrite(0, memoryview(b"b" * 4096))
    found = memoryview(bytearray(8192))
    await drive.requests.pread(0, found)
    assert bytes(found) == b"b" * 4096 + b"a" * 4096
    await drive.requests.flush()
    assert image.read_bytes() == b"a" * (1 << 20)
    assert os.listdir(tmp_path) == ["image"]


@pytest.mark.parametrize(("discard", "shown"), [("unmap", b"\0"), ("ignore", b"a"), (None, b"a")])
@on_bench
async def test_a_temporary_overlay_takes_discards_as_its_drive_does(
    bench: Bench, tmp_path: Path, discard: str | None, shown: bytes
) -> None:
    image = str(tmp_path / "image")
    write(image, b"a" * (1 << 20))
    asked = {} if discard is None else {"discard": discard}
    drive = await bench.add_legacy({"if": "none", "file": image, "format": "raw", "snapshot": "on", **asked})
    await drive.requests.pdiscard(0, 1 << 16)
    found = memoryview(bytearray(512))
    await drive.requests.pread(0, found)
    assert bytes(found) == shown * 512


@on_bench
async def test_an_overlay_that_cannot_be_made_leaves_no_image_open(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    image = str(tmp_path / "image")
    write(image, b"a" * 512)
    with pytest.raises(
        QMPError, match=f"Could not open temporary file '{tmp_path}/none/vl[.].*': No such file"
    ):
        await bench.add_legacy({"if": "none", "file": image, "format": "raw", "snapshot": "on"})
    assert not list(bench.machine.graph)


@on_bench
async def test_what_is_read_from_below_is_stored_where_that_is_wanted(bench: Bench, tmp_path: Path) -> None:
    base, top = str(tmp_path / "base"), str(tmp_path / "top")
    write(base, b"a" * (1 << 20))
    await bench.machine.create_image(
        top, "qcow2", {"size": 1 << 20, "backing-file": base, "backing-fmt": "raw"}
    )
    drive = await bench.add_legacy({"if": "none", "file": top, "format": "qcow2", "copy-on-read": "on"})
    await drive.requests.pread(0, memoryview(bytearray(512)))
    node = drive.medium
    assert node is not None
    assert [(await node.block_status(offset, 512)).is_allocated for offset in (0, 1 << 19)] == [True, False]


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"format": "raw"}, 'A block device must be specified for "file"'),
        ({"file": "none.raw", "format": "raw"}, "Could not open 'none.raw': No such file or directory"),
        ({"driver": "bogus"}, "Unknown driver 'bogus'"),
        ({"driver": "null-co", "bogus": "1"}, "Block protocol 'null-co' doesn't support the option 'bogus'"),
        ({"driver": "null-co", "size": "x"}, r"Parameter 'size' expects a non-negative number below 2\^64"),
        ({"driver": "null-co", "id": "1x"}, "Parameter 'id' expects an identifier"),
        ({"file": "json:{}"}, "Must specify either driver or file"),
        ({"driver": "raw", "file": "x", "file.filename": "y"}, "Can't specify 'file' and 'filename' options"),
        (
            {"driver": "raw", "file.driver": "null-co", "serial": "x"},
            "Block format 'raw' does not support the option",
        ),
    ],
)
@on_bench
async def test_what_cannot_be_had_leaves_nothing(bench: Bench, options: dict[str, str], refusal: str) -> None:
    with pytest.raises(QMPError, match=f"^{refusal}"):
        await bench.add_legacy({"if": "none", **options})
    assert not list(bench.drives)
    assert not list(bench.machine.graph)


@on_bench
async def test_a_name_is_taken_once(bench: Bench) -> None:
    await bench.add_legacy({"if": "none", "id": "d"})
    with pytest.raises(QMPError, match=r"^Duplicate ID 'd' for drive$"):
        await bench.add_legacy({"if": "none", "id": "d", "driver": "null-co"})
    assert not list(bench.machine.graph)


@on_bench
async def test_sizes_have_suffixes(bench: Bench) -> None:
    drive = await bench.add_legacy({"if": "none", "driver": "null-co", "size": "64k"})
    assert drive.medium is not None
    assert drive.medium.size == 65536


@on_bench
async def test_the_medium_of_a_machine_yet_to_come_is_inactive(bench: Bench) -> None:
    drive = await bench.add_legacy({"if": "none", "driver": "null-co"}, active=False)
    assert drive.medium is not None
    assert not drive.medium.is_active
