"""Creating images: what is refused, and in which words."""

import asyncio
from typing import Any

import pytest

from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.errors import QMPError
from tests.contract.engine import Context, Engine, MemoryFile
from tests.images import judge

CLUSTER_SIZE = "Cluster size must be a power of two between 512 and 2048k"
L1 = "Could not resize image: Failed to grow the L1 table: File too large"
WIDTH = "Refcount width must be a power of two and may not exceed 64 bits"

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"size": (1 << 20) + 1}, "Image size must be a multiple of 512 bytes"),
    ({"size": 1 << 62}, L1),
    ({"size": 1 << 40, "cluster-size": 512}, L1),
    ({"cluster-size": 256}, CLUSTER_SIZE),
    ({"cluster-size": 1000}, CLUSTER_SIZE),
    ({"cluster-size": 4 << 20}, CLUSTER_SIZE),
    ({"refcount-bits": 3}, WIDTH),
    ({"refcount-bits": 128}, WIDTH),
    (
        {"refcount-bits": 8, "version": "v2"},
        "Different refcount widths than 16 bits require compatibility level 1.1 or above (use version=v3 or greater)",
    ),
    (
        {"lazy-refcounts": True, "version": "v2"},
        "Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 or greater)",
    ),
    (
        {"compression-type": "zstd", "version": "v2"},
        "Non-zlib compression type is only supported with compatibility level 1.1 and above (use version=v3 or greater)",
    ),
    ({"backing-fmt": "raw"}, "Backing format cannot be used without backing file"),
    (
        {"backing-file": "x", "preallocation": "metadata"},
        "Backing file and preallocation can only be used at the same time if extended_l2 is on",
    ),
    (
        {"backing-file": "x" * 600, "cluster-size": 512},
        f"Could not assign backing file '{'x' * 600}' with format '(null)': Invalid argument",
    ),
    ({"data-file-raw": True}, "data-file-raw requires data-file"),
    ({"data-file": "node"}, "Parameter 'data-file' is not supported"),
    (
        {"extended-l2": True, "cluster-size": 8192},
        "Extended L2 entries are only supported with cluster sizes of at least 16384 bytes",
    ),
    (
        {"extended-l2": True, "version": "v2"},
        "Extended L2 entries are only supported with compatibility level 1.1 and above (use version=v3 or greater)",
    ),
    (
        {"data-file": MemoryFile(), "version": "v2"},
        "External data files are only supported with compatibility level 1.1 and above (use version=v3 or greater)",
    ),
    (
        {"data-file": MemoryFile(), "data-file-raw": True, "backing-file": "x"},
        "Backing file and data-file-raw cannot be used at the same time",
    ),
    ({"encrypt": {"format": "luks"}}, "Parameter 'encrypt.key-secret' is required for cipher"),
]


@pytest.mark.parametrize(("options", "text"), REFUSED)
def test_what_cannot_be_had_is_refused_by_name_and_nothing_is_written(
    options: dict[str, Any], text: str
) -> None:
    file = MemoryFile(b"old")
    with pytest.raises(QMPError) as caught:
        asyncio.run(Qcow2Driver.create(file, {"size": 1 << 20, **options}))
    assert caught.value.description == text
    assert file.data == b"old"


def test_the_backing_file_is_stored_with_its_format() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 1 << 20, "backing-file": "b/ä.img", "backing-fmt": "raw"})
        driver = await Qcow2Driver.open(Context({"file": file}))
        assert (driver.backing_filename, driver.backing_format) == ("b/ä.img", "raw")

    asyncio.run(run())


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("cluster_size", [512, 4096, 65536])
@pytest.mark.parametrize("size", [0, 512, 1 << 20, 1 << 33])
def test_a_new_image_counts_exactly_what_it_holds(size: int, cluster_size: int, width: int) -> None:
    file = MemoryFile()
    asyncio.run(
        Qcow2Driver.create(file, {"size": size, "cluster-size": cluster_size, "refcount-bits": width})
    )
    assert judge(file.data) == ([], 0)


@pytest.mark.parametrize("preallocation", ["metadata", "falloc", "full"])
@pytest.mark.parametrize("options", [{}, {"cluster-size": 512}, {"extended-l2": True}], ids=str)
def test_all_clusters_are_there_from_the_start(options: dict[str, Any], preallocation: str) -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 1 << 20, "preallocation": preallocation, **options})
        assert judge(file.data) == ([], 0)
        size = len(file.data)
        assert size > 1 << 20
        engine = Engine(await Qcow2Driver.open(Context({"file": file})))
        assert await engine.read(0, 1 << 20) == bytes(1 << 20)
        await engine.write(0, b"x" * (1 << 20))
        await engine.driver.close()
        assert len(file.data) == size

    asyncio.run(run())


@pytest.mark.parametrize("preallocation", ["off", "metadata", "falloc", "full"])
@pytest.mark.parametrize("options", [{}, {"extended-l2": True}], ids=str)
def test_a_raw_data_file_keeps_what_it_holds(options: dict[str, Any], preallocation: str) -> None:
    async def run() -> None:
        file, data = MemoryFile(), MemoryFile(b"old" * 30000)
        wanted = {"size": 1 << 20, "preallocation": preallocation, **options}
        await Qcow2Driver.create(file, {"data-file": data, "data-file-raw": True, **wanted})
        expected = (b"old" * 30000).ljust(1 << 20, b"\0")
        assert data.data == expected
        driver = await Qcow2Driver.open(Context({"file": file, "data-file": data}))
        assert await Engine(driver).read(0, 1 << 20) == expected

    asyncio.run(run())
