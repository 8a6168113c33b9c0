"""The nested key=value syntax, compared with the real storage daemon's."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmpserver.errors import ParameterError
from qmpserver.options.keyval import parse
from tests.peers import need
from tests.unit.options.keyval_rows import REFUSED

NOT_THE_PARSERS = ("Parameter 'driver'", "Parameters 'driver.*' are unexpected", "Help is not available")
"""How the messages begin that later stages give about arguments which parse."""


def refusal_of_qemu(text: str) -> str:
    """Return what the storage daemon says about `--blockdev TEXT`, without its prefix."""
    done = subprocess.run(
        [need("qemu-storage-daemon"), "--blockdev", text], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 1
    prefix = f"qemu-storage-daemon: --blockdev {text}: "
    return done.stderr.decode().removeprefix(prefix).rstrip("\n")


def refusal_of_ours(text: str) -> str | None:
    """Return what our parser says, or None when it takes the argument."""
    try:
        parse(text, "driver")
    except ParameterError as refusal:
        return str(refusal)
    return None


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_qemu_refuses_the_same_argument_with_the_same_text(text: str, message: str) -> None:
    assert refusal_of_qemu(text) == message


FRAGMENTS = st.sampled_from(["a", "b", "0", "1", "01", "x1", "_", "__", "-", "help", "?", "driver", ""])
PIECES = st.sampled_from([".", "=", ",", ",,", ",a.0=", ",a.1=", ",b.a="])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(FRAGMENTS, PIECES), max_size=9).map("".join))
def test_any_argument_is_parsed_or_refused_as_qemu_does(text: str) -> None:
    message = refusal_of_qemu(text)
    ours = refusal_of_ours(text)
    assert message == ours if ours else message.startswith(NOT_THE_PARSERS)
