"""Decompressing one cluster."""

import errno
import sys
import zlib

import pytest

from qmpserver.drivers.qcow2.compressed import decompress

PLAIN = b"some data " * 410


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-12)
    return compressor.compress(data) + compressor.flush()


def test_what_follows_the_compressed_data_is_ignored() -> None:
    assert decompress(deflated(PLAIN[:4096]) + b"rubbish", 4096, "zlib") == PLAIN[:4096]


@pytest.mark.parametrize("data", [b"", b"\xff" * 100, deflated(b"short"), deflated(PLAIN[:4096])[:-20]])
def test_damaged_data_is_an_input_output_error(data: bytes) -> None:
    with pytest.raises(OSError, match="Input/output error"):
        decompress(data, 4096, "zlib")


def test_a_cluster_never_becomes_larger_than_a_cluster() -> None:
    assert decompress(deflated(bytes(64 << 20)), 4096, "zlib") == bytes(4096)


def test_zstd_clusters_are_decompressed_and_damage_is_told() -> None:
    zstandard = pytest.importorskip("zstandard", reason="the 'zstandard' package is not installed")
    packed = zstandard.ZstdCompressor().compress(PLAIN[:4096])
    assert decompress(packed + bytes(300), 4096, "zstd") == PLAIN[:4096]
    with pytest.raises(OSError, match="Input/output error"):
        decompress(b"\xff" * 100, 4096, "zstd")


def test_a_missing_zstandard_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(OSError, match="'zstandard' package") as caught:
        decompress(b"", 4096, "zstd")
    assert caught.value.errno == errno.ENOTSUP
