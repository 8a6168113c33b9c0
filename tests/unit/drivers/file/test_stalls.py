"""Slow writes are kept off the event loop, for longer each time; a moment's delay changes nothing."""

from dataclasses import dataclass, field

from qmpserver.drivers.file.stalls import FAIR_NS, LONGEST_NS, MOST_NS, SHORTEST_NS, Stalls


@dataclass
class Writes:
    """Writes made one after the other, for as long as they may be."""

    stalls: Stalls = field(default_factory=Stalls)
    now_ns: int = 10**12

    def make(self, *taken_ns: int) -> bool:
        """Make writes that take so long; say whether another may follow."""
        for taken in taken_ns:
            assert self.stalls.is_over(self.now_ns)
            began, self.now_ns = self.now_ns, self.now_ns + taken
            self.stalls.note(began, self.now_ns)
        return self.stalls.is_over(self.now_ns)

    def pause_ns(self) -> int:
        """Return for how long nothing may be written from now on, and let that time pass."""
        end = next(
            end for end in range(0, 100 * LONGEST_NS, SHORTEST_NS) if self.stalls.is_over(self.now_ns + end)
        )
        self.now_ns += end
        return end


def test_quick_writes_go_on_for_ever() -> None:
    assert Writes().make(*[FAIR_NS] * 10_000)


def test_one_long_wait_stops_them_for_a_while() -> None:
    writes = Writes()
    assert not writes.make(MOST_NS + FAIR_NS)
    assert writes.pause_ns() == SHORTEST_NS
    assert writes.make(5_000)


def test_a_short_delay_now_and_then_is_forgotten() -> None:
    writes = Writes()
    for _ in range(100):
        assert writes.make(MOST_NS // 2, *[5_000] * 200)


def test_many_writes_that_are_a_little_slow_stop_them_too() -> None:
    writes, count = Writes(), 0
    while writes.make(1_000_000):
        count += 1
    assert 40 <= count <= 60


def test_whoever_is_slow_again_at_once_is_kept_away_for_longer_up_to_a_bound() -> None:
    writes, pauses = Writes(), []
    for _ in range(8):
        writes.make(MOST_NS + FAIR_NS)
        pauses.append(writes.pause_ns())
    assert pauses[:4] == [SHORTEST_NS, 2 * SHORTEST_NS, 4 * SHORTEST_NS, 8 * SHORTEST_NS]
    assert pauses[-2:] == [LONGEST_NS, LONGEST_NS]


def test_after_a_good_while_the_pause_is_short_again() -> None:
    writes = Writes()
    for _ in range(4):
        writes.make(MOST_NS + FAIR_NS)
        writes.pause_ns()
    writes.now_ns += 100 * LONGEST_NS
    writes.make(MOST_NS + FAIR_NS)
    assert writes.pause_ns() == SHORTEST_NS
