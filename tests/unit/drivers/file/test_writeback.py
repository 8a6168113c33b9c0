import random

from qmpserver.drivers.file.writeback import CHUNK, WritebackHint
from qmpserver.units import KiB, MiB


def test_a_stream_is_written_back_a_chunk_at_a_time() -> None:
    hint = WritebackHint()
    named = [found for number in range(32) if (found := hint.note(number * MiB, MiB)) is not None]
    assert named == [(start, CHUNK) for start in range(0, 32 * MiB, CHUNK)]


def test_writes_of_a_stream_may_arrive_out_of_order() -> None:
    hint = WritebackHint()
    order = (0, 2, 1, 3, 5, 4, 7, 6)
    named = [found for number in order if (found := hint.note(number * MiB, MiB)) is not None]
    assert named == [(0, 8 * MiB)]


def test_scattered_writes_are_left_to_the_kernel() -> None:
    hint = WritebackHint()
    places = random.Random(1)
    assert all(hint.note(places.randrange(1 << 40), 64 * KiB) is None for _ in range(2000))
