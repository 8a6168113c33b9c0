"""Rows of bits against a plain set."""

from hypothesis import given, settings
from hypothesis import strategies as st

from qmpserver.block.bits import PAGE_BITS, Bits

LENGTHS = (0, 1, 7, PAGE_BITS - 1, PAGE_BITS, PAGE_BITS + 1, 3 * PAGE_BITS + 17)
CHANGES = ("set", "reset", "fill", "empty", "resize", "merge", "copy", "store")


@given(
    st.sampled_from(LENGTHS),
    st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0), st.integers(0)), max_size=25),
)
@settings(max_examples=60, deadline=None)
def test_a_row_holds_what_a_set_holds(length: int, changes: list[tuple[str, int, int]]) -> None:
    bits, model = Bits(length), set[int]()
    for change, one, other in changes:
        first, stop = sorted((one % (bits.length + 1), other % (bits.length + 1)))
        bits, model = changed(bits, model, change, first, stop)
        assert bits.count == len(model)
        assert {bit for start, end in bits.runs() for bit in range(start, end)} == model
        for is_set in (True, False):
            expected = next((bit for bit in range(first, stop) if (bit in model) is is_set), None)
            assert bits.next(first, stop, is_set=is_set) == expected
        assert all(bits.is_set(bit) == (bit in model) for bit in (first, stop - 1) if 0 <= bit < bits.length)


def changed(bits: Bits, model: set[int], change: str, first: int, stop: int) -> tuple[Bits, set[int]]:
    """Make a change to both, and return both."""
    inside = set(range(first, stop))
    match change:
        case "set":
            bits.set(first, stop)
            model = model | inside
        case "reset":
            bits.reset(first, stop)
            model = model - inside
        case "fill" | "empty":
            bits.fill(is_set=change == "fill")
            model = set(range(bits.length)) if change == "fill" else set()
        case "resize":
            bits.resize(stop if first % 2 else bits.length + first)
            model = {bit for bit in model if bit < bits.length}
        case "merge":
            other = Bits(bits.length)
            other.set(first, stop)
            bits.merge(other)
            model = model | inside
        case "copy":
            bits, other = Bits(bits.length), bits
            bits.copy_from(other)
            bits.reset(first, stop)
            model = model - inside
        case _:
            bits = stored_and_loaded(bits, first)
            model = {bit for bit in model if bit >= first // PAGE_BITS * PAGE_BITS}
    return bits, model


def stored_and_loaded(bits: Bits, first: int) -> Bits:
    """Return a row that has those bits from the page of `first` on."""
    start = first // PAGE_BITS * PAGE_BITS
    loaded = Bits(bits.length)
    loaded.load(start, bits.dump(start, bits.length))
    return loaded


def test_a_huge_row_costs_what_was_changed_in_it() -> None:
    bits = Bits(1 << 60)
    bits.fill(is_set=True)
    bits.reset(1 << 50, (1 << 50) + 10)
    assert bits.count == (1 << 60) - 10
    assert list(bits.runs()) == [(0, 1 << 50), ((1 << 50) + 10, 1 << 60)]
    assert len(bits.pages) == 1


def test_what_is_loaded_past_the_end_is_ignored() -> None:
    bits = Bits(5)
    bits.load(0, b"\xff" * 600)
    assert (bits.count, bits.dump(0, 5)) == (5, b"\x1f")
