import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from qmpserver.schema.introspect import query_qmp_schema
from qmpserver.schema.introspected import IntrospectedSchema
from qmpserver.schema.loader import load
from qmpserver.shell.suggestions import Completion, complete


@pytest.fixture(scope="module")
def schema() -> IntrospectedSchema:
    """What a client makes of our own server's answer."""
    ours = load()
    return IntrospectedSchema(json.loads(json.dumps(query_qmp_schema(ours))), ours.commands)


async def names(kind: str, beside: Mapping[str, Any], partial: str) -> Sequence[str]:
    return {
        "node": ["disk0", "disk1"],
        "job": ["j"],
        "bitmap": [f"bitmap-of-{beside.get('node')}"],
        "file": [f"{partial}/f"],
    }.get(kind, [])


def ways(text: str, schema: IntrospectedSchema, *, in_transaction: bool = False) -> list[Completion]:
    return asyncio.run(complete(text, schema, names, in_transaction=in_transaction))


ROWS: list[tuple[str, list[str]]] = [
    ("query-named", ["query-named-block-nodes"]),
    ("help query-named", ["query-named-block-nodes"]),
    ("help JOB_STATUS", ["JOB_STATUS_CHANGE"]),
    ("JOB_STATUS", []),
    ("help exi", []),
    ("exi", ["exit"]),
    ("transact", ["transaction", "transaction("]),
    ('{"execute": "exi', []),
    ("job-pause ", ["id="]),
    ("job-pause id=", ["j"]),
    ("job-pause id=k", []),
    ("job-pause bogus=", []),
    ("bogus ", []),
    ("blockdev-del node-name=disk", ["disk0", "disk1"]),
    ("blockdev-add driver=qcow", ["qcow2"]),
    ("blockdev-add fi", []),
    ("blockdev-add driver=qcow2 fi", ["file=", "file."]),
    ("blockdev-add driver=qcow2 file=", ["disk0", "disk1"]),
    ("blockdev-add driver=qcow2 file.driver=file file.file", ["filename="]),
    ("blockdev-add driver=file filename=/x", ["/x/f"]),
    ("blockdev-add cache.di", ["direct="]),
    ("blockdev-add cache.direct=", ["true", "false"]),
    ('blockdev-add {"driver": "qcow2", "fi', ['"file": ']),
    ('blockdev-add {"driver": "qc', ['"qcow2"']),
    ("blockdev-add {'read-only': ", ["true", "false"]),
    ('{"execute": "query-named', ['"query-named-block-nodes"']),
    ('{"execute": "job-pause", "arguments": {"id": ', ['"j"']),
    ("block-dirty-bitmap-clear node=n name=", ["bitmap-of-n"]),
    ("block-dirty-bitmap-merge node=n target=", ["bitmap-of-n"]),
    ("transaction( block-dirty-bitmap-c", ["block-dirty-bitmap-clear"]),
    ("transaction( block-dirty-bitmap-clear node=n n", ["name="]),
    ("transaction( block-dirty-bitmap-clear node=n name=", ["bitmap-of-n"]),
]


@pytest.mark.parametrize(("text", "expected"), ROWS)
def test_a_line_goes_on(text: str, expected: list[str], schema: IntrospectedSchema) -> None:
    assert [way.text for way in ways(text, schema)] == expected


def test_a_list_shows_what_must_be_given_first_and_what_is_deprecated_last(
    schema: IntrospectedSchema,
) -> None:
    shown = ways("blockdev-mirror ", schema)
    required = [way.note.startswith("required: ") for way in shown]
    assert required == sorted(required, reverse=True)
    assert {way.shown for way in shown if way.note.startswith("required: ")} == {
        "device=",
        "target=",
        "sync=",
    }
    assert next(way for way in ways("block-job-p", schema) if way.text == "block-job-pause").is_deprecated


def test_the_schema_of_a_machine_is_used_beside_the_words_of_ours() -> None:
    folder = Path(__file__).parents[1] / "schema"
    recorded = json.loads((folder / "recorded_system_introspection.json").read_text())
    answer = recorded if isinstance(recorded, list) else recorded["return"]
    schema = IntrospectedSchema(answer, load().commands)
    assert [way.text for way in ways("device_a", schema)] == ["device_add"]
    assert [way.note for way in ways("device_add d", schema)] == ["required: "]
    assert ways("blockdev-add driver=nb", schema)[0].text == "nbd"
    for command in schema.commands.values():
        assert command.arguments.members is not None
        assert command.returns is not None
