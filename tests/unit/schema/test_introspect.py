"""What we say of ourselves, held against what QEMU 11.1 was recorded to say of itself.

``recorded_introspection.json`` is QEMU's answer, cut to the commands, events and branches offered
here and with the types' masked names made readable.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from qmpserver.schema.conform import conform
from qmpserver.schema.introspect import query_qmp_schema
from qmpserver.schema.loader import load
from qmpserver.schema.model import Schema

Entities = dict[tuple[bool, str], dict[str, Any]]

RECORDED = json.loads((Path(__file__).parent / "recorded_introspection.json").read_text())
LEGACY = {"query-events"}


def schema_own(schema: Schema) -> set[str]:
    """Return the names of the commands that QEMU does not have."""
    return {name for name, command in schema.commands.items() if command.subject == "beyond"}


def by_name(entities: list[dict[str, Any]]) -> Entities:
    return {(is_type(entity), entity["name"]): entity for entity in entities}


def is_type(entity: dict[str, Any]) -> bool:
    return entity["meta-type"] not in ("command", "event")


def spelled_out(entities: Entities, name: str, outer: tuple[str, ...] = ()) -> Any:
    """Put in place of a type's name what the type is, and of one inside itself how far out it began."""
    if name in outer:
        return f"^{len(outer) - outer.index(name)}"
    entity = entities[True, name]
    outer = (*outer, name)
    result: dict[str, Any] = {key: value for key, value in entity.items() if key != "name"}
    if "element-type" in entity:
        result["element-type"] = spelled_out(entities, entity["element-type"], outer)
    for key, order in (("members", "name"), ("variants", "case")):
        if key in entity and entity["meta-type"] != "enum":
            parts = [part | {"type": spelled_out(entities, part["type"], outer)} for part in entity[key]]
            result[key] = sorted(parts, key=lambda part: part.get(order) or json.dumps(part, sort_keys=True))
    return result


ENTITIES = [entity["name"] for entity in RECORDED if not is_type(entity)]


@pytest.mark.parametrize("name", ENTITIES)
def test_a_command_or_event_is_described_as_qemu_describes_it(schema: Schema, name: str) -> None:
    ours, qemus = by_name(query_qmp_schema(schema)), by_name(RECORDED)
    mine, recorded = ours[False, name], qemus[False, name]
    for key in ("arg-type", "ret-type"):
        if key in recorded:
            assert spelled_out(ours, mine[key]) == spelled_out(qemus, recorded[key])
    assert {**mine, "arg-type": "", "ret-type": ""} == {**recorded, "arg-type": "", "ret-type": ""}


def test_every_command_and_event_is_described_and_no_other(schema: Schema) -> None:
    described = {entity["name"] for entity in query_qmp_schema(schema) if not is_type(entity)}
    assert described == schema.commands.keys() | schema.events.keys()
    assert described - LEGACY - schema_own(schema) == set(ENTITIES)


def test_the_answer_fits_its_own_description(schema: Schema) -> None:
    conform(schema.commands["query-qmp-schema"].returns, query_qmp_schema(schema), "answer")


def test_every_name_is_described_once_and_every_reference_leads_somewhere(schema: Schema) -> None:
    answer = query_qmp_schema(schema)
    entities = by_name(answer)
    assert len(entities) == len(answer)
    for entity in answer:
        if not is_type(entity):
            spelled_out(entities, entity["arg-type"])


def test_types_of_documents_are_called_by_numbers(schema: Schema) -> None:
    names = {e["name"] for e in query_qmp_schema(schema) if e["meta-type"] in ("object", "enum", "alternate")}
    assert names == {str(number) for number in range(len(names))}


def test_the_answer_is_made_once(schema: Schema) -> None:
    assert query_qmp_schema(schema) is query_qmp_schema(schema)


def test_the_answer_is_made_anew_after_a_branch_was_added() -> None:
    schema = load()
    before = json.dumps(query_qmp_schema(schema))
    schema.add_branch(
        "BlockdevOptions", "vdi", {"type": "object", "properties": {"file": {"$ref": "#/$defs/BlockdevRef"}}}
    )
    assert '"vdi"' in json.dumps(query_qmp_schema(schema))
    assert '"vdi"' not in before
