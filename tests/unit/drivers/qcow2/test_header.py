"""The header: parsing and storing are inverse, and unknown parts are told apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpserver.drivers.qcow2 import header as h
from qmpserver.errors import QMPError

U32 = st.integers(0, (1 << 32) - 1)
U64 = st.integers(0, (1 << 64) - 1)
SIZES = st.integers(0, (1 << 55) - 1).map(lambda sectors: sectors * 512)

HEADERS = st.builds(
    h.Header,
    version=st.just(3), cluster_bits=st.integers(9, 21), size=SIZES, l1_entries=U32, l1_offset=U64,
    reftable_offset=U64, reftable_clusters=U32, backing_offset=st.integers(0, 512), backing_length=U32,
    crypt_method=U32, snapshot_count=U32, snapshot_offset=U64, incompatible=U64, compatible=U64, autoclear=U64,
    refcount_order=U32, header_length=st.integers(105, 512), compression_type=st.integers(0, 255),
)  # fmt: skip

SOUND = h.Header(
    version=3, cluster_bits=16, size=1 << 30, l1_entries=2, l1_offset=0x30000, reftable_offset=0x10000,
    reftable_clusters=1,
)  # fmt: skip


@given(HEADERS)
def test_a_stored_header_is_parsed_as_it_was(header: h.Header) -> None:
    assert h.Header.parse(header.pack().ljust(112, b"\0")) == header


@given(HEADERS, st.integers(1, 511))
def test_a_part_of_a_sector_at_the_end_of_the_disk_does_not_count(header: h.Header, more: int) -> None:
    stored = header._replace(size=header.size + more).pack().ljust(112, b"\0")
    assert h.Header.parse(stored) == header


@given(HEADERS)
def test_a_version_2_header_has_no_more_than_its_72_bytes(header: h.Header) -> None:
    old = header._replace(
        version=2, incompatible=0, compatible=0, autoclear=0, refcount_order=4, header_length=72,
        compression_type=0,
    )  # fmt: skip
    packed = old.pack()
    assert len(packed) == 72
    assert h.Header.parse(packed.ljust(112, b"\xff")) == old


@given(st.binary(min_size=112, max_size=112))
def test_any_bytes_give_a_header_or_a_named_error(head: bytes) -> None:
    for data in (head, h.MAGIC + bytes((0, 0, 0, 3)) + head[8:]):
        try:
            parsed = h.Header.parse(data)
            h.check_features(parsed, {}, read_only=False)
            h.check_tables(parsed)
            h.check_backing_name(parsed)
        except QMPError:
            continue


def test_a_sound_header_passes_every_check() -> None:
    h.check_features(SOUND, {}, read_only=False)
    h.check_tables(SOUND)
    h.check_backing_name(SOUND)


def test_unknown_features_are_called_what_the_image_calls_them() -> None:
    with pytest.raises(QMPError) as caught:
        h.check_features(SOUND._replace(incompatible=1 << 9 | 1 << 20), {9: "time travel"}, read_only=True)
    text = "Unsupported qcow2 feature(s): time travel, Unknown incompatible feature: 100000"
    assert caught.value.description == text
