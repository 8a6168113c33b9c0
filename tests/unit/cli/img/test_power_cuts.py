"""A power cut while a tool works leaves leaks at most, and images that show what they showed."""

from pathlib import Path

import pytest

from tests.torture.tool_cuts import Run
from tests.torture.tool_scenes import SCENES


@pytest.mark.parametrize("what", SCENES)
def test_a_power_cut_at_any_instant_of_a_tools_run_loses_nothing(tmp_path: Path, what: str) -> None:
    run = Run(SCENES[what], tmp_path, len(what))
    run.at_end()
    run.cut(4)
