from collections.abc import Sequence
from typing import Any

import pytest

from qmpserver.schema import completion
from qmpserver.schema.model import Schema


def test_every_command_is_offered_and_the_old_ones_are_marked(schema: Schema) -> None:
    offered = {suggestion.text: suggestion for suggestion in completion.commands(schema)}
    assert offered.keys() == schema.commands.keys()
    assert offered["block-job-pause"].is_deprecated
    assert not offered["job-pause"].is_deprecated
    assert offered["job-pause"].description


@pytest.mark.parametrize(
    ("command", "path", "given", "some", "none"),
    [
        ("block-job-set-speed", [], {}, {"device", "speed"}, set()),
        ("block-job-set-speed", [], {"device": "a"}, {"speed"}, {"device"}),
        ("blockdev-add", [], {}, {"driver", "node-name", "cache"}, {"filename", "backing"}),
        ("blockdev-add", [], {"driver": "qcow2"}, {"file", "backing", "cache-size"}, {"filename", "driver"}),
        ("blockdev-add", ["file"], {"driver": "raw"}, {"driver"}, {"filename"}),
        (
            "blockdev-add",
            ["file"],
            {"driver": "raw", "file": {"driver": "file"}},
            {"filename", "aio"},
            {"driver"},
        ),
        ("blockdev-add", ["cache"], {"driver": "raw"}, {"direct", "no-flush"}, {"driver"}),
        ("blockdev-add", ["overlap-check"], {"driver": "qcow2"}, {"template"}, set()),
        ("blockdev-add", ["node-name"], {}, set(), {"driver"}),
        ("blockdev-add", ["zz"], {}, set(), {"driver"}),
        ("zz", [], {}, set(), {"driver"}),
    ],
)
def test_members_are_offered_for_their_place(
    schema: Schema,
    command: str,
    *,
    path: Sequence[str],
    given: dict[str, Any],
    some: set[str],
    none: set[str],
) -> None:
    offered = {suggestion.text for suggestion in completion.members(schema, command, path, given)}
    assert some <= offered
    assert not none & offered


def test_members_that_must_be_given_are_marked(schema: Schema) -> None:
    marks = {
        suggestion.text: suggestion.required for suggestion in completion.members(schema, "block-job-cancel")
    }
    assert marks == {"device": True, "force": False}


@pytest.mark.parametrize(
    ("command", "path", "given", "choices", "names", "expected"),
    [
        ("block-stream", ["device"], {}, [], "node", "string"),
        ("block-stream", ["job-id"], {}, [], "new-job", "string"),
        ("block-stream", ["speed"], {}, [], "", "int64"),
        ("block-stream", ["auto-finalize"], {}, ["true", "false"], "", "boolean"),
        (
            "block-stream",
            ["on-error"],
            {},
            ["report", "ignore", "enospc", "stop", "auto"],
            "",
            "BlockdevOnError",
        ),
        ("qmp_capabilities", ["enable"], {}, ["oob"], "", "array of QMPCapability"),
        ("blockdev-add", ["file"], {"driver": "raw"}, [], "node", "BlockdevRef"),
        (
            "blockdev-add",
            ["overlap-check"],
            {"driver": "qcow2"},
            ["none", "constant", "cached", "all"],
            "",
            "Qcow2OverlapChecks",
        ),
        ("job-cancel", ["id"], {}, [], "job", "string"),
    ],
)
def test_a_values_choices_are_known(
    schema: Schema,
    command: str,
    *,
    path: Sequence[str],
    given: dict[str, Any],
    choices: list[str],
    names: str,
    expected: str,
) -> None:
    hint = completion.value(schema, command, path, given)
    assert hint is not None
    assert [choice.text for choice in hint.choices] == choices
    assert (hint.names, hint.expected) == (names, expected)


@pytest.mark.parametrize(
    ("command", "path"), [("zz", ["x"]), ("job-cancel", ["x"]), ("blockdev-add", ["zz", "x"])]
)
def test_nothing_is_known_of_a_place_that_does_not_exist(
    schema: Schema, command: str, path: Sequence[str]
) -> None:
    assert completion.value(schema, command, path) is None
