"""Header extensions and the layout of the first cluster."""

from hypothesis import given
from hypothesis import strategies as st

from qmpserver.drivers.qcow2 import extensions as ext
from qmpserver.drivers.qcow2.extensions import Extension
from qmpserver.drivers.qcow2.header import Header
from qmpserver.errors import QMPError

HEADER = Header(
    version=3, cluster_bits=12, size=1 << 20, l1_entries=1, l1_offset=0x3000, reftable_offset=0x1000,
    reftable_clusters=1,
)  # fmt: skip
EXTENSIONS = st.lists(
    st.builds(Extension, st.integers(0x10000000, 0x20000000), st.binary(max_size=40)), max_size=5
)
NAMES = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name)


@given(EXTENSIONS, NAMES)
def test_what_is_laid_out_is_parsed_again(extensions: list[Extension], name: bytes) -> None:
    laid_out = ext.lay_out(HEADER, extensions, name)
    assert laid_out is not None
    cluster = laid_out.area.ljust(4096, b"\0")
    header = Header.parse(cluster)
    assert header == laid_out.header
    assert ext.parse_extensions(cluster, header) == extensions
    assert cluster[header.backing_offset : header.backing_offset + header.backing_length] == name


@given(st.binary(max_size=400))
def test_any_bytes_are_extensions_or_a_named_error(area: bytes) -> None:
    cluster = HEADER.pack().ljust(112, b"\0") + area.ljust(4096 - 112, b"\0")
    try:
        for extension in ext.parse_extensions(cluster, HEADER):
            assert len(extension.data) < 4096
    except QMPError:
        return


def test_a_name_avoids_the_place_of_the_old_one_where_it_must_not_be_torn() -> None:
    laid_out = ext.lay_out(HEADER, [], b"x" * 600, range(528, 540))
    assert laid_out is not None
    assert laid_out.header.backing_offset == 1024


def test_what_does_not_fit_is_not_laid_out() -> None:
    small = HEADER._replace(cluster_bits=9)
    assert ext.lay_out(small, [], b"x" * 500) is None
    assert ext.lay_out(HEADER, [], b"x" * 1024) is None


def test_feature_names_are_read_back() -> None:
    names = ext.incompatible_names(ext.feature_names(HEADER))
    assert names[0] == "dirty bit"
    assert names[4] == "extended L2 entries"
    assert ext.feature_names(HEADER._replace(cluster_bits=9)) == []


def test_names_that_are_not_utf8_survive() -> None:
    assert ext.text_to_name(ext.name_to_text(b"caf\xe9\0rest")) == b"caf\xe9"
