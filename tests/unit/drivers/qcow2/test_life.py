"""Whatever is done to an image in its life, a power cut leaves leaks at most, and nothing flushed is lost.

``scripts/powercuts`` goes on with this for as long as is wished.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.torture.powercut import KINDS, run


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_a_power_cut_at_any_instant_of_a_life_loses_nothing(tmp_path: Path, options: dict[str, Any]) -> None:
    cuts = 3 if "encrypt" in options else 6
    run(options, len(str(options)), steps=50, cuts=cuts, asked=1, folder=tmp_path)
