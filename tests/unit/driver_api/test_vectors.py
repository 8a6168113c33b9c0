"""A list of buffers is cut where it is asked to be."""

from hypothesis import given, settings
from hypothesis import strategies as st

from qmpserver.driver_api.vectors import split


@settings(max_examples=60)
@given(st.lists(st.binary(min_size=1, max_size=5), max_size=6), st.integers(0, 40))
def test_both_parts_together_are_the_whole(pieces: list[bytes], length: int) -> None:
    whole = b"".join(pieces)
    first, rest = split([memoryview(piece) for piece in pieces], length)
    assert (b"".join(first), b"".join(rest)) == (whole[:length], whole[length:])
    assert all(first + rest)
