"""Exports under load and faults, each life made from a seed; ``scripts/nbdfaults`` goes on with more."""

from pathlib import Path

import pytest

from tests.torture import nbd_life


@pytest.mark.parametrize("seed", [1, 3, 7])
def test_a_life_loses_nothing(tmp_path: Path, seed: int) -> None:
    did = nbd_life.run(seed, 10, tmp_path)
    assert did["change"] > 20
    assert sum(did.values()) == did["change"] + 10
