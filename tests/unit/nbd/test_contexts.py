"""Metadata contexts are chosen by what a client asks."""

import pytest

from qmpserver.nbd.contexts import chosen, listed

OFFERED = ("base:allocation", "qemu:allocation-depth", "qemu:dirty-bitmap:a", "qemu:dirty-bitmap:b")


@pytest.mark.parametrize(
    ("queries", "in_a_listing", "selected"),
    [
        ([], [0, 1, 2, 3], []),
        (["base:"], [0], []),
        (["qemu:"], [1, 2, 3], []),
        (["qemu:dirty-bitmap:"], [2, 3], []),
        (["qemu:dirty-bitmap:b", "base:allocation"], [0, 3], [0, 3]),
        (["base:allocation", "base:allocation"], [0], [0]),
        (["qemu:dirty-bitmap:c", "x:", "", "base", "base:alloc", "qemu:d"], [], []),
    ],
)
def test_queries_are_matched(queries: list[str], in_a_listing: list[int], selected: list[int]) -> None:
    assert listed(queries, OFFERED) == [OFFERED[at] for at in in_a_listing]
    assert chosen(queries, OFFERED) == [OFFERED[at] for at in selected]
