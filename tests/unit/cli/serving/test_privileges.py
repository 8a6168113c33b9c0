"""A process becomes the user that is named, or none at all."""

import pwd

import pytest

from qmpserver.cli.serving.privileges import Identity, find_identity
from qmpserver.errors import QMPError


def test_a_user_is_found_by_name() -> None:
    root = pwd.getpwuid(0)
    assert find_identity(root.pw_name) == Identity(0, root.pw_gid, root.pw_name)


def test_a_user_is_given_by_numbers() -> None:
    assert find_identity("12:34") == Identity(12, 34)


@pytest.mark.parametrize("text", ["", "no such user", "12", "12:", "12:34:56", "-1:0"])
def test_a_user_that_does_not_exist_is_refused_by_name(text: str) -> None:
    with pytest.raises(QMPError, match=f'^User "{text}" doesn\'t exist'):
        find_identity(text)
