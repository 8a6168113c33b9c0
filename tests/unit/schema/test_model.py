from typing import Any

import pytest

from qmpserver.errors import ParameterError
from qmpserver.schema.builder import DefinitionError
from qmpserver.schema.conform import SchemaError
from qmpserver.schema.loader import load
from qmpserver.schema.model import Schema


def test_arguments_become_keywords_and_nested_values_stay_as_they_came(schema: Schema) -> None:
    given = {"device": "a", "job-id": "j", "auto-dismiss": False}
    assert schema.commands["block-stream"].check(given) == {
        "device": "a",
        "job_id": "j",
        "auto_dismiss": False,
    }


@pytest.mark.parametrize("arguments", [None, {}])
def test_no_arguments_are_an_empty_object(schema: Schema, arguments: dict[str, Any] | None) -> None:
    assert schema.commands["query-jobs"].check(arguments) == {}


def test_arguments_that_are_a_union_come_whole(schema: Schema) -> None:
    options = {"driver": "null-co", "node-name": "a"}
    command = schema.commands["blockdev-add"]
    assert command.boxed
    assert command.parameters == {"options": True}
    assert command.check(options) == {"options": options}


def test_parameters_say_what_a_handler_must_take(schema: Schema) -> None:
    assert schema.commands["block-job-cancel"].parameters == {"device": True, "force": False}
    assert schema.commands["query-jobs"].parameters == {}


def test_a_command_knows_its_subject_and_marks(schema: Schema) -> None:
    pause = schema.commands["block-job-pause"]
    assert (pause.subject, pause.since, pause.features) == ("block-jobs", "1.3", ("deprecated",))
    assert pause.changes
    assert not pause.allow_oob
    assert not schema.commands["query-block-jobs"].changes


def test_an_event_knows_its_rate_limit(schema: Schema) -> None:
    limited = schema.events["BLOCK_IO_ERROR"]
    assert (limited.rate_limit_ms, limited.rate_limit_key) == (1000, "qom-path")
    assert schema.events["JOB_STATUS_CHANGE"].rate_limit_ms is None


JOB = {
    "type": "stream",
    "device": "j",
    "len": 0,
    "offset": 0,
    "busy": False,
    "paused": False,
    "speed": 0,
    "io-status": "ok",
    "ready": False,
    "status": "running",
    "auto-finalize": True,
    "auto-dismiss": True,
}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in JOB.items() if key != name}


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ([without("len")], r"reply to query-block-jobs\[0\].len is missing"),
        ([JOB, JOB | {"status": "asleep"}], r"\[1\].status: 'asleep' is no JobStatus"),
        ([JOB | {"status": 1}], r"\[0\].status: 1 is no JobStatus"),
        ([JOB | {"actively-synced": True}], r"\['actively-synced'\] are unexpected"),
        ([JOB | {"type": "mirror"}], r"\[0\].actively-synced is missing"),
        ([JOB | {"type": "x"}], r"\[0\].type: 'x' is no branch of BlockJobInfo"),
        ([JOB | {"len": True}], r"\[0\].len: True is no integer"),
        ([JOB | {"len": 1 << 63}], r"\[0\].len: 9223372036854775808 is no integer \(int64\)"),
        ({}, r"is no array"),
        ([1], r"\[0\]: 1 is no object"),
    ],
)
def test_a_wrong_reply_is_refused_with_its_path(schema: Schema, reply: Any, text: str) -> None:
    with pytest.raises(SchemaError, match=text):
        schema.commands["query-block-jobs"].check_reply(reply)


def test_right_replies_pass(schema: Schema) -> None:
    schema.commands["query-block-jobs"].check_reply([JOB, JOB | {"type": "mirror", "actively-synced": True}])
    schema.commands["quit"].check_reply({})


def test_an_event_is_held_against_its_type(schema: Schema) -> None:
    event = schema.events["JOB_STATUS_CHANGE"]
    event.check_data({"id": "j", "status": "running"})
    with pytest.raises(SchemaError, match=r"event JOB_STATUS_CHANGE.status is missing"):
        event.check_data({"id": "j"})
    with pytest.raises(SchemaError, match=r"event JOB_STATUS_CHANGE.id is missing"):
        event.check_data(None)


DRIVER = {
    "type": "object",
    "description": "A driver of somebody else's.",
    "properties": {
        "file": {"$ref": "#/$defs/BlockdevRef", "description": "The node below."},
        "depth": {"type": "integer", "format": "uint32", "description": "How deep."},
    },
    "required": ["file"],
}


def test_a_driver_can_be_added_at_run_time() -> None:
    schema = load()
    options = {"driver": "theirs", "node-name": "a", "file": {"driver": "theirs", "file": "x", "depth": 1}}
    command = schema.commands["blockdev-add"]
    with pytest.raises(ParameterError, match="Parameter 'driver' does not accept value 'theirs'"):
        command.check(options)
    schema.add_branch("BlockdevOptions", "theirs", DRIVER)
    assert command.check(options) == {"options": options}
    with pytest.raises(ParameterError, match=r"Parameter 'depth' expects uint32_t"):
        command.check(options | {"depth": -1})
    with pytest.raises(ParameterError, match=r"Parameter 'file' is missing"):
        command.check({"driver": "theirs"})


def test_a_driver_that_exists_cannot_be_replaced() -> None:
    schema = load()
    with pytest.raises(ValueError, match="has 'raw' already"):
        schema.add_branch("BlockdevOptions", "raw", DRIVER)
    with pytest.raises(TypeError, match="no union"):
        schema.add_branch("BlockdevRef", "raw", DRIVER)


def test_a_type_that_does_not_exist_is_a_key_error(schema: Schema) -> None:
    with pytest.raises(KeyError):
        schema.type("Nothing")


def test_a_definition_outside_the_dialect_is_refused() -> None:
    schema = Schema({"x": {"$defs": {"Odd": {"type": "string", "description": "No enumeration."}}}})
    with pytest.raises(DefinitionError, match="'Odd' is neither"):
        schema.type("Odd")
