"""Models of processors come to what QEMU 11.1 was recorded to expand them to, and wrong properties are refused.

What a model comes to is recorded as a digest.  With QMPSERVER_RECORD=1 the system emulator in use is recorded anew,
and has to be of that version.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from qmpserver.clock import ManualClock
from qmpserver.commands.machine.cpu import query_cpu_model_expansion
from qmpserver.errors import QMPError
from qmpserver.machine.cpu_models import CPU_MODELS
from qmpserver.machine.machine import Machine
from tests.differential.duel import step
from tests.differential.machine_session import EMULATOR, NEWEST, SCHEMA, Session, play_theirs
from tests.peers import peer_version

RECORDING = Path(__file__).parent / "recorded_cpu_models.json"
KINDS = ("static", "full")
CHANGES: tuple[dict[str, Any], ...] = (
    {"migratable": False},
    {"aes": True},
    {"sse2": False},
    {"sse4_1": True},
    {"sse4-1": True},
    {"fxsr_opt": True},
    {"family": 300},
    {"stepping": 16},
    {"level": -1},
    {"level": 3},
    {"level": "x"},
    {"level": 1.5},
    {"level": True},
    {"sse2": "on"},
    {"nope": True},
    {"tsc_deadline": True},
    {"vendor": "abc"},
    {"vendor": "abcabcabcabc"},
    {"vendor": 1},
    {"hv-no-nonarch-coresharing": "auto"},
    {"hv-no-nonarch-coresharing": "x"},
    {"hv-version-id-minor": 65536},
    {"node-id": 1 << 31},
    {"tsc-frequency": -1},
    {"type": "x"},
)

Answer = dict[str, Any]


def asked() -> list[dict[str, Any]]:
    plain = [{"type": kind, "model": {"name": name}} for name in CPU_MODELS for kind in KINDS]
    changed = [{"type": "full", "model": {"name": "qemu64", "props": props}} for props in CHANGES]
    others = [
        {"type": "full", "model": {"name": "nope"}},
        {"type": "full", "model": {"name": "base", "props": []}},
        {"type": "static", "model": {"name": "max", "props": {"migratable": False}}},
    ]
    return [*plain, *changed, *others]


def shaped(answer: Answer) -> str:
    """Cut what is long down to a digest."""
    if "error" in answer:
        return str(answer["error"]["desc"])
    model = answer["return"]["model"]
    told = json.dumps(model, sort_keys=True)
    return f"{model['name']} {hashlib.sha256(told.encode()).hexdigest()[:16]}"


def ours(arguments: dict[str, Any]) -> Answer:
    machine = Machine(SCHEMA, ManualClock())
    try:
        return {"return": query_cpu_model_expansion(machine, **arguments)}
    except QMPError as error:
        return {"error": {"desc": error.description}}


def test_models_are_expanded_as_recorded_on_qemu(tmp_path: Path) -> None:
    questions = {json.dumps(arguments): arguments for arguments in asked()}
    if os.environ.get("QMPSERVER_RECORD") == "1":
        assert peer_version(EMULATOR)[0] == NEWEST
        steps = [step("query-cpu-model-expansion", **arguments) for arguments in questions.values()]
        told = play_theirs(Session(steps), tmp_path)
        answers = {text: shaped(answer[1]) for text, answer in zip(questions, told, strict=True)}
        RECORDING.write_text(json.dumps(answers, indent=0) + "\n")
    recorded = json.loads(RECORDING.read_text())
    assert {text: shaped(ours(arguments)) for text, arguments in questions.items()} == recorded
