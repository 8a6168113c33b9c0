import json

import pytest

from qmpserver.schema.introspect import query_qmp_schema
from qmpserver.schema.introspected import IntrospectedSchema
from qmpserver.schema.loader import load
from qmpserver.shell.explanation import explain
from qmpserver.shell.words import LineError


@pytest.fixture(scope="module")
def schema() -> IntrospectedSchema:
    ours = load()
    return IntrospectedSchema(json.loads(json.dumps(query_qmp_schema(ours))), ours.commands, ours.events)


def test_a_command_is_explained_with_its_members_and_what_it_returns(schema: IntrospectedSchema) -> None:
    said = explain(schema, ["job-pause"])
    assert (said.title, said.text) == ("job-pause", "Pause a job, at its next request.")
    assert [(row.name, row.type, row.note) for row in said.rows] == [("id", "string", "The job's id.")]
    assert explain(schema, ["query-jobs"]).text.endswith("\nReturns array of JobInfo.")
    assert "(deprecated)" in explain(schema, ["block-job-pause"]).text


def test_a_value_that_decides_brings_more_members(schema: IntrospectedSchema) -> None:
    names = {row.name for row in explain(schema, ["blockdev-add", "driver=file"]).rows}
    assert "filename" in names
    assert "filename" not in {row.name for row in explain(schema, ["blockdev-add"]).rows}


def test_a_member_is_explained_with_its_values_or_members(schema: IntrospectedSchema) -> None:
    assert {row.name for row in explain(schema, ["blockdev-add", "discard"]).rows} == {"ignore", "unmap"}
    assert explain(schema, ["blockdev-add", "cache.direct"]).text.startswith("boolean. ")
    assert {row.name for row in explain(schema, ["blockdev-add", "cache"]).rows} == {"direct", "no-flush"}


def test_an_event_is_explained_with_its_members(schema: IntrospectedSchema) -> None:
    said = explain(schema, ["JOB_STATUS_CHANGE"])
    assert said.title == "JOB_STATUS_CHANGE (event)"
    assert said.text
    assert [(row.name, row.type) for row in said.rows] == [("id", "string"), ("status", "JobStatus")]


def test_a_name_that_is_nearly_right_is_put_right(schema: IntrospectedSchema) -> None:
    for wrong, right in (("job-pasue", "job-pause"), ("JOB_STATUS_CHANGED", "JOB_STATUS_CHANGE")):
        with pytest.raises(LineError, match=f"There is no command '{wrong}'; is it '{right}'\\?"):
            explain(schema, [wrong])


@pytest.mark.parametrize(
    "words", [["bogus"], ["job-pause", "bogus"], ["blockdev-add", "driver=file", "backing"]]
)
def test_what_is_not_there_is_not_explained(words: list[str], schema: IntrospectedSchema) -> None:
    with pytest.raises(LineError):
        explain(schema, words)
