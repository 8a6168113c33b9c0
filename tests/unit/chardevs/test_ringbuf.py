"""The buffer, against a plain model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpserver.chardevs.ringbuf import RingbufChardev
from qmpserver.errors import QMPError


@given(st.lists(st.one_of(st.binary(max_size=24), st.integers(1, 24))))
def test_a_ringbuf_keeps_what_came_last(steps: list[bytes | int]) -> None:
    ringbuf, model = RingbufChardev("r", 16), b""
    for item in steps:
        if isinstance(item, bytes):
            ringbuf.write(item)
            model = (model + item)[-16:]
        else:
            assert ringbuf.read(item) == model[:item]
            model = model[item:]


@pytest.mark.parametrize("size", [0, -1, 3, 65])
def test_its_size_is_a_power_of_two(size: int) -> None:
    with pytest.raises(QMPError, match="size of ringbuf chardev must be power of two"):
        RingbufChardev("r", size)
