"""Images are made, changed and resized by the same commands as in QEMU, with the same results."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import Step, duel, step
from tests.images import make_qcow2, qemu_check, qemu_img

KiB, MiB = 1024, 1024 * 1024


def created(driver: str, **options: Any) -> list[Step]:
    """Make an image, look at the job, and dismiss it."""
    options = {key.replace("_", "-"): value for key, value in options.items()}
    return [
        step("blockdev-create", "STATUS=concluded", job_id="j", options={"driver": driver, **options}),
        step("query-jobs"),
        step("job-dismiss", id="j"),
    ]


def node(driver: str, file: str | dict[str, Any], name: str, **options: Any) -> Step:
    return step("blockdev-add", driver=driver, file=file, node_name=name, **options)


def file(name: str, **options: Any) -> dict[str, Any]:
    return {"driver": "file", "filename": name, **options}


FILES: list[list[Step]] = [
    created("file", filename="a.img", size=MiB),
    created("file", filename="a.img", size=1000, preallocation="falloc", extent_size_hint=0),
    created("file", filename="b.img", size=100_000, preallocation="full", nocow=True),
    created("file", filename="c.img", size=MiB, preallocation="metadata"),
    created("file", filename="c.img", size=-1),
    created("file", filename="c.img", size=(1 << 63) - 1),
    created("file", filename="c.img", size=0, extent_size_hint=1 << 32),
    created("file", filename="/nonexistent/a.img", size=MiB),
    created("file", filename="", size=MiB),
    created("file", filename=".", size=MiB),
    created("file", filename="file:z.img", size=512),
    created("raw"),
    created("null-co"),
    [step("blockdev-create", job_id="1", options=file("b.img", size=1))],
]


def test_files(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    make_qcow2(images / "used.qcow2", "1M")
    steps = [node("qcow2", file("used.qcow2"), "used"), *created("file", filename="used.qcow2", size=1)]
    outcome = duel(tmp_path, images, steps + [one for part in FILES for one in part])
    outcome.assert_alike()
    for name in ("a.img", "b.img", "used.qcow2"):
        ours, theirs = ((folder / name).read_bytes() for folder in (outcome.our_folder, outcome.their_folder))
        assert ours == theirs


QCOW2: list[dict[str, Any]] = [
    {},
    {"version": "v2"},
    {"cluster_size": 512, "refcount_bits": 1},
    {"preallocation": "metadata"},
    {"preallocation": "full", "extended_l2": True},
    {"preallocation": "falloc", "cluster_size": 4096},
    {"backing_file": "used.qcow2", "backing_fmt": "raw", "lazy_refcounts": True},
    {"backing_file": "", "backing_fmt": "raw"},
    {"compression_type": "zstd", "size": 0},
    {"data_file": "d"},
    {"data_file": "d", "data_file_raw": True},
    {"data_file": "d", "preallocation": "full"},
]
"""Options of images that can be had."""

REFUSED: list[dict[str, Any]] = [
    {"size": 1000},
    {"size": -512},
    {"size": 1 << 60},
    {"cluster_size": 1000},
    {"cluster_size": 1 << 40},
    {"refcount_bits": 3},
    {"refcount_bits": 0},
    {"refcount_bits": 8, "version": "v2"},
    {"lazy_refcounts": True, "version": "v2"},
    {"compression_type": "zstd", "version": "v2"},
    {"extended_l2": True, "version": "v2"},
    {"extended_l2": True, "cluster_size": 4096},
    {"backing_fmt": "raw"},
    {"backing_file": "x", "preallocation": "full"},
    {"backing_file": "x" * 1024},
    {"data_file_raw": True},
    {"data_file": "d", "version": "v2"},
    {"data_file": "d", "data_file_raw": True, "backing_file": "x"},
    {"file": "nix"},
    {"data_file": "nix"},
    {"file": "read-only"},
    {"file": "used"},
    {"file": {"driver": "file", "filename": "nix"}},
    {"file": "small"},
]


def made(index: int, options: dict[str, Any]) -> list[Step]:
    """Make a file and an image in it, and open that."""
    name, wanted = f"f{index}", {"file": f"f{index}", "size": MiB, **options}
    data = {"data-file": "d"} if "data_file" in options else {}
    return [
        *created("file", filename=f"{index}.qcow2", size=0),
        step("blockdev-add", node_name=name, **file(f"{index}.qcow2")),
        *created("qcow2", **wanted),
        node("qcow2", name, f"n{index}", backing=None, read_only=True, **data),
        step("blockdev-del", node_name=f"n{index}"),
    ]


HOST_DECIDES = {"actual-size", "children", "filename", "full-backing-filename"}


def info(path: Path) -> dict[str, Any]:
    """Return what ``qemu-img info`` says of an image, but not what it occupies."""
    told: dict[str, Any] = json.loads(qemu_img("info", "--output=json", "-f", "qcow2", path))
    return {key: value for key, value in told.items() if key not in HOST_DECIDES}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    images = tmp_path / "images"
    images.mkdir()
    (images / "old.img").write_bytes(b"old" * 500_000)
    (images / "small.img").write_bytes(bytes(64 * KiB))
    make_qcow2(images / "used.qcow2", "1M")
    return images


NODES = [
    step("blockdev-add", node_name="f", **file("old.img")),
    step("blockdev-add", node_name="read-only", read_only=True, **file("old.img")),
    step("blockdev-add", node_name="used", **file("used.qcow2")),
    node("qcow2", "used", "user"),
    node("raw", file("small.img"), "small", size=64 * KiB),
]


def test_qcow2_images(tmp_path: Path, files: Path) -> None:
    """What is made is the same; clusters that are preallocated need not lie in the same order."""
    steps = [*created("file", filename="d.raw", size=0), step("blockdev-add", node_name="d", **file("d.raw"))]
    for index, options in enumerate(QCOW2):
        steps += made(index, options)
    outcome = duel(tmp_path, files, [*NODES, *steps])
    outcome.assert_alike()
    for index, options in enumerate(QCOW2):
        ours, theirs = (folder / f"{index}.qcow2" for folder in (outcome.our_folder, outcome.their_folder))
        assert info(ours) == info(theirs)
        if "data_file" not in options:
            assert qemu_check(ours) == {}
            assert mapped(ours) == mapped(theirs)


def mapped(path: Path) -> Any:
    keys = ("start", "length", "zero", "data", "present")
    told = json.loads(qemu_img("map", "--output=json", "-f", "qcow2", path)) if path.stat().st_size else []
    return [{key: run.get(key) for key in keys} for run in told]


def test_refused_qcow2_images(tmp_path: Path, files: Path) -> None:
    steps = [*created("file", filename="d.raw", size=0), step("blockdev-add", node_name="d", **file("d.raw"))]
    for options in REFUSED:
        steps += created("qcow2", **{"file": "f", "size": MiB, **options})
    duel(tmp_path, files, [*NODES, *steps]).assert_alike()


def resized(name: str, size: int) -> Step:
    return step("block_resize", node_name=name, size=size)


def test_resizing(tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # QEMU: a data file's name leads from the working directory, not from the image's.
    monkeypatch.chdir(files)
    make_qcow2(files / "base.qcow2", "1M")
    for name, options in {
        "two.qcow2": {"compat": "0.10"},
        "snapshots.qcow2": {},
        "two-snapshots.qcow2": {"compat": "0.10"},
        "over.qcow2": {"backing_file": "base.qcow2", "backing_fmt": "qcow2"},
        "raw-data.qcow2": {"data_file": "data.raw", "data_file_raw": "on"},
    }.items():
        make_qcow2(files / name, "512k", **options)
    for name in ("snapshots.qcow2", "two-snapshots.qcow2"):
        qemu_img("snapshot", "-c", "s", files / name)
    steps = [
        *NODES,
        *(
            node("qcow2", file(f"{name}.qcow2"), name)
            for name in ("two", "snapshots", "two-snapshots", "over", "raw-data")
        ),
        node("raw", file("old.img", locking="off"), "raw"),
        step("blockdev-add", driver="null-co", node_name="null", size=512),
        *(resized("user", size) for size in (2 * MiB, 512, 0, 3 * MiB, 1000, -512, 1 << 60, (1 << 63) - 1)),
        *(resized("two", size) for size in (MiB, 512)),
        *(resized("snapshots", size) for size in (MiB, 64 * KiB, 2 * MiB)),
        resized("two-snapshots", MiB),
        resized("over", 768 * KiB),
        resized("raw-data", MiB),
        *(resized("raw", size) for size in (100, 2 * MiB, (1 << 63) - (1 << 30))),
        resized("small", 100),
        resized("read-only", 100),
        resized("null", 100),
        resized("nix", 512),
        step("block_resize", device="nix", size=512),
        step("block_resize", device="user", node_name="user", size=MiB),
        step("block_resize", size=512),
    ]
    outcome = duel(tmp_path, files, steps)
    outcome.assert_alike()
    for name in ("used", "two", "snapshots", "over", "raw-data"):
        seen = []
        for folder in (outcome.our_folder, outcome.their_folder):
            monkeypatch.chdir(folder)
            image = folder / f"{name}.qcow2"
            seen.append((qemu_check(image), info(image), mapped(image)))
        ours, theirs = seen
        assert ours == theirs
        assert ours[0] == {}


def test_snapshots(tmp_path: Path, files: Path) -> None:
    make_qcow2(files / "external.qcow2", "1M", data_file=files / "external.raw")
    make_qcow2(files / "narrow.qcow2", "1M", refcount_bits=1, preallocation="metadata")
    make_qcow2(files / "kept.qcow2", "1M")
    qemu_img("snapshot", "-c", "s", files / "kept.qcow2")

    def taken(device: str, name: str) -> Step:
        return step("blockdev-snapshot-internal-sync", device=device, name=name)

    def deleted(device: str, **which: str) -> Step:
        return step("blockdev-snapshot-delete-internal-sync", device=device, **which)

    steps = [
        *NODES,
        *(taken("user", name) for name in ("a", "1", "a", "")),
        step("query-named-block-nodes", flat=True),
        node("raw", "user", "above"),
        *(taken(name, "x") for name in ("user", "small", "read-only", "nix", "above")),
        taken("small", ""),
        *(
            node("qcow2", file(f"{name}.qcow2"), name, read_only=name == "kept")
            for name in ("external", "narrow", "kept")
        ),
        *(taken(name, "x") for name in ("external", "narrow", "kept")),
        *(deleted(name, name="s") for name in ("external", "narrow", "kept")),
        *(deleted("above", **which) for which in ({}, {"id": ""}, {"id": "9"}, {"name": "b"})),
        *(deleted("above", **which) for which in ({"id": "1", "name": "1"}, {"name": "1"}, {"id": "1"})),
        *(deleted(name, id="1") for name in ("user", "small", "read-only", "nix", "above")),
    ]
    outcome = duel(tmp_path, files, steps)
    outcome.assert_alike(without_times)
    assert qemu_check(outcome.our_folder / "used.qcow2") == {}


def without_times(value: Any) -> Any:
    """Leave out when a snapshot was taken, what a host's file system decides, and what an older QEMU lacks."""
    decided = (
        "date-",
        "vm-clock-",
        "actual-size",
        "virtual-size",
        "active",
        "children",
        "limits",
        "format-sp",
    )
    match value:
        case dict():
            return {key: without_times(item) for key, item in value.items() if not key.startswith(decided)}
        case list():
            return [without_times(item) for item in value]
        case _:
            return value


def test_amending(tmp_path: Path, files: Path) -> None:
    def amended(node_name: str, driver: str, **options: Any) -> list[Step]:
        wanted = {"driver": driver, **options}
        return [
            step("x-blockdev-amend", "STATUS=concluded", job_id="j", node_name=node_name, options=wanted),
            step("query-jobs"),
            step("job-dismiss", id="j"),
        ]

    steps = [
        *NODES,
        *amended("user", "qcow2"),
        *amended("user", "qcow2", encrypt={"format": "luks", "state": "active"}),
        *amended("user", "qcow2", encrypt={"format": "qcow"}),
        *amended("user", "raw"),
        *amended("f", "qcow2"),
        *amended("f", "file"),
        *amended("small", "raw"),
        *amended("nix", "qcow2"),
        step("x-blockdev-amend", job_id="1", node_name="user", options={"driver": "qcow2"}),
    ]
    duel(tmp_path, files, steps).assert_alike()


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "v2": {"compat": "0.10"},
    "zstd": {"compression_type": "zstd", "cluster_size": 4096},
    "extended": {"extended_l2": "on", "lazy_refcounts": "on"},
    "narrow": {"refcount_bits": 1, "cluster_size": 512},
    "external": {"data_file": "external.raw"},
    "raw-external": {"data_file": "raw-external.raw", "data_file_raw": "on"},
    "over": {"backing_file": "old.img", "backing_fmt": "raw"},
    "over-two": {"backing_file": "over.qcow2", "backing_fmt": "qcow2"},
    "over-json": {
        "backing_file": 'json:{"driver":"qcow2",,"file.filename":"plain.qcow2"}',
        "backing_fmt": "qcow2",
    },
    "snapshots": {},
}


def test_what_is_told_of_images_of_every_kind(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    for name, options in KINDS.items():
        make_qcow2(Path(f"{name}.qcow2"), "1M", **options)
    for snapshot in ("first", "second"):
        qemu_img("snapshot", "-c", snapshot, "snapshots.qcow2")
    # One that another program has open, or has not closed.
    dirty = bytearray((files / "plain.qcow2").read_bytes())
    dirty[79] |= 1
    (files / "dirty.qcow2").write_bytes(dirty)
    dirty[79] |= 2
    (files / "corrupt.qcow2").write_bytes(dirty)
    steps = []
    for name in (*KINDS, "dirty", "corrupt"):
        steps += [
            node("qcow2", file(f"{name}.qcow2"), name, read_only=True),
            step("query-named-block-nodes"),
            step("blockdev-del", node_name=name),
        ]
    duel(tmp_path, files, steps).assert_alike(without_new)


NEW = ("active", "limits", "children")
OF_A_FILE = {"type": "file", "data": {}}


def without_new(value: Any) -> Any:
    """Leave out what an older QEMU lacks."""
    match value:
        case dict():
            kept = {key: item for key, item in value.items() if key not in NEW and item != OF_A_FILE}
            return {key: without_new(item) for key, item in kept.items()}
        case list():
            return [without_new(item) for item in value]
        case _:
            return value
