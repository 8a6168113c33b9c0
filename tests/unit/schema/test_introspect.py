"""What we say of ourselves, held against what QEMU 11.1 was recorded to say of itself.

``recorded_introspection.json`` is the storage daemon's answer, whole; ``recorded_system_introspection.json`` the
system emulator's, for what only that one has.  Of an enumeration that lists what can be had (drivers,
object types, ...), and of a union it decides, we may offer less; of anything else, neither less nor more.
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

HERE = Path(__file__).parent
DAEMON = json.loads((HERE / "recorded_introspection.json").read_text())
SYSTEM = json.loads((HERE / "recorded_system_introspection.json").read_text())
OLDER_MEMBERS = {"migrate": {"detach"}}
"""Members of arguments that older clients still send."""

LEGACY = {"query-events"}
OLDER = {"block_passwd", "change"}
"""Commands that QEMU 11.1 no longer has, and a machine has here."""

LISTS_OF_WHAT_CAN_BE_HAD = ("qcow2", "iothread", "msmouse", "vhost-user-blk", "blockdev-backup", "alsa")
"""A value of each enumeration of which we may offer less: drivers, objects, chardevs, exports, actions, sound."""


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
    if entity["meta-type"] == "enum":
        # Their order means nothing, and a machine's own come after those of any server.
        result["values"] = sorted(entity["values"])
        result["members"] = sorted(entity["members"], key=lambda member: str(member["name"]))
    if "element-type" in entity:
        result["element-type"] = spelled_out(entities, entity["element-type"], outer)
    for key, order in (("members", "name"), ("variants", "case")):
        if key in entity and entity["meta-type"] != "enum":
            parts = [part | {"type": spelled_out(entities, part["type"], outer)} for part in entity[key]]
            result[key] = sorted(parts, key=lambda part: part.get(order) or json.dumps(part, sort_keys=True))
    return result


def cut(qemus: Any, ours: Any) -> Any:
    """Leave out of what QEMU has the values and branches that may be missing here and are."""
    if isinstance(qemus, dict) and isinstance(ours, dict):
        qemus = {key: cut(value, ours.get(key)) for key, value in qemus.items()}
        if any(value in qemus.get("values", ()) for value in LISTS_OF_WHAT_CAN_BE_HAD):
            offered = set(ours.get("values", ()))
            qemus["values"] = [value for value in qemus["values"] if value in offered]
            qemus["members"] = [member for member in qemus["members"] if member["name"] in offered]
        if "variants" in qemus:
            offered = {variant["case"] for variant in ours.get("variants", ())}
            pairs = {variant["case"]: variant for variant in ours.get("variants", ())}
            kept = [variant for variant in qemus["variants"] if variant["case"] in offered]
            qemus["variants"] = [cut(variant, pairs[variant["case"]]) for variant in kept]
        return qemus
    if isinstance(qemus, list) and isinstance(ours, list) and len(qemus) == len(ours):
        return [cut(one, other) for one, other in zip(qemus, ours, strict=True)]
    return qemus


RECORDED = {
    entity["name"]: by_name(answer) for answer in (SYSTEM, DAEMON) for entity in answer if not is_type(entity)
}
OFFERED = [name for name in (*load().commands, *load().events) if name in RECORDED]

MACHINE = load(with_machine=True)
RECORDED_OF_SYSTEM = {entity["name"]: by_name(SYSTEM) for entity in SYSTEM if not is_type(entity)}
OFFERED_BY_MACHINE = [name for name in (*MACHINE.commands, *MACHINE.events) if name in RECORDED_OF_SYSTEM]


@pytest.mark.parametrize("name", OFFERED)
def test_a_command_or_event_is_described_as_qemu_describes_it(schema: Schema, name: str) -> None:
    assert_described_alike(by_name(query_qmp_schema(schema)), RECORDED[name], name)


@pytest.mark.parametrize("name", OFFERED_BY_MACHINE)
def test_a_machine_is_described_as_qemus_system_emulator_is(name: str) -> None:
    assert_described_alike(by_name(query_qmp_schema(MACHINE)), RECORDED_OF_SYSTEM[name], name)


def test_everything_of_a_machine_that_qemu_has_as_well_is_held_against_it(schema: Schema) -> None:
    described = MACHINE.commands.keys() | MACHINE.events.keys()
    only_in_daemon = {name for name in RECORDED if name not in RECORDED_OF_SYSTEM}
    assert described - OLDER - LEGACY - schema_own(schema) - only_in_daemon == set(OFFERED_BY_MACHINE)


def without_older(name: str, described: Any) -> Any:
    """Leave out the members that QEMU does not have any more."""
    if name not in OLDER_MEMBERS:
        return described
    kept = [member for member in described["members"] if member["name"] not in OLDER_MEMBERS[name]]
    return {**described, "members": kept}


def assert_described_alike(ours: Entities, qemus: Entities, name: str) -> None:
    mine, recorded = ours[False, name], qemus[False, name]
    for key in ("arg-type", "ret-type"):
        if key in recorded:
            spelled = without_older(name, spelled_out(ours, mine[key]))
            assert spelled == cut(spelled_out(qemus, recorded[key]), spelled)
    assert {**mine, "arg-type": "", "ret-type": ""} == {**recorded, "arg-type": "", "ret-type": ""}


def test_every_command_and_event_is_described_and_no_other(schema: Schema) -> None:
    described = {entity["name"] for entity in query_qmp_schema(schema) if not is_type(entity)}
    assert described == schema.commands.keys() | schema.events.keys()
    assert described - LEGACY - schema_own(schema) == set(OFFERED)


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
