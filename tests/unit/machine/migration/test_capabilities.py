"""What is on and off about migration changes together or not at all."""

import pytest

from qmpserver.errors import QMPError
from qmpserver.machine.migration.capabilities import CAPABILITIES, NEEDS, UNAVAILABLE, Capabilities


def test_all_is_off_at_first() -> None:
    assert dict(Capabilities().items()) == dict.fromkeys(CAPABILITIES, False)


@pytest.mark.parametrize("name", UNAVAILABLE)
def test_what_cannot_be_had_is_refused_and_changes_nothing(name: str) -> None:
    capabilities = Capabilities()
    with pytest.raises(QMPError) as refused:
        capabilities.set({"events": True, name: True})
    assert refused.value.description == UNAVAILABLE[name]
    assert not capabilities["events"]
    capabilities.set({name: False})


@pytest.mark.parametrize("name", NEEDS)
def test_what_needs_another_comes_and_goes_with_it(name: str) -> None:
    needed, message = NEEDS[name]
    capabilities = Capabilities()
    with pytest.raises(QMPError) as refused:
        capabilities.set({name: True})
    assert refused.value.description == message
    capabilities.set({name: True, needed: True})
    with pytest.raises(QMPError):
        capabilities.set({needed: False})
    assert capabilities[needed]


@pytest.mark.parametrize("name", [one for one in CAPABILITIES if one not in UNAVAILABLE and one not in NEEDS])
def test_the_rest_is_switched_on_and_shown(name: str) -> None:
    capabilities = Capabilities()
    capabilities.set({name: True})
    assert [one for one, is_on in capabilities.items() if is_on] == [name]
