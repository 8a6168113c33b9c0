"""Types of devices have the parents and properties that QEMU 11.1 was recorded to give them.

With QMPSERVER_RECORD=1 the system emulator in use is recorded anew, and has to be of that version.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from qmpserver.clock import ManualClock
from qmpserver.commands import qom
from qmpserver.commands.machine.device import device_list_properties
from qmpserver.machine.devices.types.table import DEVICE_TYPES, OBJECT_TYPES
from qmpserver.machine.machine import Machine
from qmpserver.qom.types import TYPES
from tests.differential.duel import step
from tests.differential.machine_session import EMULATOR, NEWEST, SCHEMA, Session, play_theirs
from tests.peers import peer_version

RECORDING = Path(__file__).parent / "recorded_device_types.json"
NAMES = [entry.name for entry in OBJECT_TYPES if entry.name not in TYPES and entry.parent != "x86_64-cpu"]

_OF_A_GUEST = re.compile(r"(child|link)<.*(memory-region|irq)>|struct tm|child<(?!virtio)")
"""QEMU's devices also have what a guest, or the board itself, would use: lines, memory, inner devices."""

_PROCESSOR = ("x86_64-cpu", "cpu", "kvm-accel")
"""Types of which we have only some properties."""

Facts = dict[str, Any]


def own_facts(name: str, parent: str | None, properties: Mapping[str, list[Facts]]) -> Facts:
    """Return what distinguishes a type from its parent."""
    inherited = {entry["name"]: facts(entry) for entry in properties.get(parent or "", [])}
    own = {entry["name"]: facts(entry) for entry in properties[name]}
    return {
        "parent": parent,
        "own": {key: value for key, value in sorted(own.items()) if inherited.get(key) != value},
    }


def facts(entry: Facts) -> list[Any]:
    """Take a property's type and default; what is said of it is in our own words."""
    return [entry["type"], *([entry["default-value"]] if "default-value" in entry else [])]


def without_guest(entries: Iterable[Facts]) -> list[Facts]:
    return [entry for entry in entries if not _OF_A_GUEST.match(entry["type"])]


def record(tmp_path: Path) -> dict[str, Facts]:
    assert peer_version(EMULATOR)[0] == NEWEST
    asked = [step("qom-list-properties", typename=name) for name in NAMES]
    types, *answers = play_theirs(Session([step("qom-list-types", abstract=True), *asked]), tmp_path)
    parents = {entry["name"]: entry.get("parent") for entry in types[1]["return"]}
    properties = {
        name: without_guest(answer[1]["return"]) for name, answer in zip(NAMES, answers, strict=True)
    }
    return {name: own_facts(name, parents[name], properties) for name in NAMES}


def test_types_are_as_recorded_on_qemu(tmp_path: Path) -> None:
    if os.environ.get("QMPSERVER_RECORD") == "1":
        RECORDING.write_text(
            json.dumps(record(tmp_path), separators=(",", ":")).replace('},"', '},\n"') + "\n"
        )
    recorded = json.loads(RECORDING.read_text())
    machine = Machine(SCHEMA, ManualClock())
    parents = {entry["name"]: entry.get("parent") for entry in qom.qom_list_types(machine, abstract=True)}
    properties = {name: without_guest(qom.qom_list_properties(machine, typename=name)) for name in NAMES}
    ours = {name: own_facts(name, parents[name], properties) for name in NAMES}
    assert set(ours) == set(recorded)
    for name in sorted(set(NAMES) - set(_PROCESSOR)):
        assert ours[name] == recorded[name], name


@pytest.mark.parametrize("name", [entry.name for entry in DEVICE_TYPES if not entry.is_abstract])
def test_the_properties_of_a_device_are_those_of_its_type_that_can_be_set(name: str) -> None:
    machine = Machine(SCHEMA, ManualClock())
    fixed = {"type", "parent_bus", "realized", "hotplugged", "hotpluggable"}
    all_of_them = {entry["name"] for entry in qom.qom_list_properties(machine, typename=name)}
    settable = {entry["name"] for entry in device_list_properties(machine, typename=name)}
    assert settable == all_of_them - fixed
