"""Sizes that the image tool is given."""

import pytest

from qmpserver.cli.command_line import Failure
from qmpserver.cli.numbers import size_of


def test_a_size_out_of_range_is_refused_with_the_range() -> None:
    with pytest.raises(Failure, match="Must be between 1 and 9"):
        size_of("buffer size", "10", 1, 9)
