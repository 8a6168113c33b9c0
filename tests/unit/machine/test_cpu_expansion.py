"""A model of processors comes to what it is defined as, and what is said otherwise."""

from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.machine.cpu_definitions import definition
from qmpserver.machine.cpu_expansion import expand, find_model
from qmpserver.machine.cpu_models import CPU_MODELS


def full(name: str, **changes: Any) -> dict[str, Any]:
    properties: dict[str, Any] = expand(find_model(name), "full", changes)["props"]
    return properties


def test_every_definition_leads_to_the_model_that_has_nothing() -> None:
    properties = set(full("max"))
    assert all(definition(name).keys() <= properties for name in CPU_MODELS)


def test_a_later_version_adds_to_an_earlier_one() -> None:
    assert not definition("Nehalem-v1").get("spec-ctrl")
    assert definition("Nehalem-v2")["spec-ctrl"] is True
    assert definition("Nehalem") == definition("Nehalem-v1")


def test_a_static_expansion_is_told_from_the_base_and_leaves_out_what_is_not_the_models() -> None:
    told = expand(find_model("EPYC"), "static", None)
    assert told["name"] == "base"
    assert told["props"]["avx2"] is True
    assert not {"apic-id", "level", "hv-time", "sse3"} & told["props"].keys()


@pytest.mark.parametrize("spelling", ["sse4.1", "sse4-1", "sse4_1"])
def test_a_feature_may_be_spelled_in_several_ways(spelling: str) -> None:
    found = full("qemu64", **{spelling: True})
    assert [found[name] for name in ("sse4.1", "sse4-1", "sse4_1")] == [True] * 3


@pytest.mark.parametrize(
    ("changes", "levels"), [({}, (13, 13)), ({"level": 3}, (3, 13)), ({"min-level": 5}, (5, 5))]
)
def test_a_level_is_as_its_least_unless_it_is_said(changes: dict[str, int], levels: tuple[int, int]) -> None:
    found = full("qemu64", **changes)
    assert (found["level"], found["min-level"]) == levels


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"nope": True}, "Property 'qemu64-x86_64-cpu.nope' not found"),
        ({"migratable": True}, "Property 'qemu64-x86_64-cpu.migratable' not found"),
        ({"realized": True}, "Property 'qemu64-x86_64-cpu.realized' is not writable"),
        ({"sse2": 1}, "Invalid parameter type for 'model.props.sse2', expected: boolean"),
        ({"core-id": 1 << 31}, "Parameter 'core-id' expects int32_t"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], refusal: str) -> None:
    with pytest.raises(QMPError, match=refusal):
        full("qemu64", **changes)
