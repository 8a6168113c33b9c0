"""Options as they are joined and handed down when nodes are reopened."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmpserver.block import reopen_options as opts
from qmpserver.block.view import NodeFlags
from qmpserver.driver_api.permissions import IMAGE, ChildRole

KEYS = st.text("abc-", min_size=1, max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.dictionaries(KEYS, inner, min_size=1, max_size=3) | st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=25)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_flat_options_can_be_nested_again(options: dict[str, Any]) -> None:
    assert opts.nest(opts.flatten(options)) == options


def test_flat_options_are_named_as_qemu_names_them() -> None:
    given_options = {"cache": {"direct": True}, "children": ["a", {"driver": "null-co"}], "backing": None}
    assert opts.flatten(given_options) == {
        "cache.direct": True,
        "children.0": "a",
        "children.1.driver": "null-co",
        "backing": None,
    }


def test_what_describes_a_child_in_place_is_taken_out() -> None:
    options = {"file.driver": "file", "file.cache.direct": True, "filename": "x", "file": "f"}
    assert opts.take_below(options, "file") == {"driver": "file", "cache.direct": True}
    assert options == {"filename": "x", "file": "f"}
    assert opts.without_child({"file": "f", "file.driver": "file", "size": 1}, "file") == {"size": 1}


@pytest.mark.parametrize(
    ("parent", "role", "wanted"),
    [
        ({}, IMAGE, {"discard": "unmap"}),
        (
            {"read-only": True, "cache.direct": True, "detect-zeroes": "on", "size": 1},
            IMAGE,
            {"read-only": True, "cache.direct": True, "discard": "unmap"},
        ),
        (
            {"read-only": False, "auto-read-only": True, "cache.no-flush": True},
            ChildRole.COW,
            {"read-only": True, "auto-read-only": False, "cache.no-flush": True},
        ),
    ],
)
def test_a_child_takes_over_what_concerns_it(
    parent: dict[str, Any], role: ChildRole, wanted: dict[str, Any]
) -> None:
    assert opts.handed_down(parent, role) == wanted


def values(flags: NodeFlags) -> dict[str, Any]:
    return {name: getattr(flags, name) for name in NodeFlags.__slots__}


def test_what_is_not_said_is_off_and_what_cannot_change_stays() -> None:
    old = NodeFlags(read_only=True, direct=True, discard=True, force_share=True, detect_zeroes="on")
    kept, changed = (
        opts.as_flags(options, old, discard=True)
        for options in ({}, {"discard": "ignore", "read-only": True})
    )
    assert values(kept) == values(NodeFlags(discard=True, force_share=True))
    assert values(changed) == values(NodeFlags(read_only=True, force_share=True))
    assert opts.as_options(old) == {
        "read-only": True,
        "auto-read-only": False,
        "cache.direct": True,
        "cache.no-flush": False,
    }
