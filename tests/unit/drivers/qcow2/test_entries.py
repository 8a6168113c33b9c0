"""The bit fields of table entries."""

import pytest

from qmpserver.drivers.qcow2.entries import COMPRESSED, COPIED, ZERO, compressed_extent, host_extent


@pytest.mark.parametrize(
    ("cluster_bits", "offset", "more_sectors"),
    [(9, 0x1234, 1), (16, 0x50000, 0), (16, 0x50123, 5), (16, (1 << 54) - 1, 255), (21, 0x777, 8191)],
)
def test_a_compressed_cluster_ends_with_a_sector(cluster_bits: int, offset: int, more_sectors: int) -> None:
    entry = COMPRESSED | more_sectors << (62 - (cluster_bits - 8)) | offset
    start, length = compressed_extent(entry, cluster_bits)
    assert start == offset
    assert (start + length) % 512 == 0
    assert (start + length - 1) // 512 - start // 512 == more_sectors


@pytest.mark.parametrize(
    ("entry", "extent"),
    [
        (0, None),
        (ZERO, None),
        (COPIED, None),
        (COPIED | 0x50000, (0x50000, 65536)),
        (COPIED | 0x50000 | ZERO, (0x50000, 65536)),
        (COMPRESSED | 0x50010, (0x50010, 512 - 0x10)),
    ],
)
def test_an_entry_refers_to_the_clusters_it_holds(entry: int, extent: tuple[int, int] | None) -> None:
    assert host_extent(entry, 16) == extent
