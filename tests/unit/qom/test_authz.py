"""Who may come in."""

from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.objects import ObjectStore
from qmpserver.qom.authz import Authorization


def made(kind: str, **properties: Any) -> Authorization:
    store = ObjectStore()
    store.add({"qom-type": f"authz-{kind}", "id": "z", **properties})
    return store.authorization("z")


def test_one_name_may_come_in() -> None:
    authorization = made("simple", identity="CN=me")
    assert authorization.admits("CN=me")
    assert not authorization.admits("CN=you")


RULES = [
    {"match": "CN=bad*", "policy": "deny", "format": "glob"},
    {"match": "CN=b?d", "policy": "allow", "format": "glob"},
    {"match": "CN=[x]", "policy": "allow", "format": "glob"},
    {"match": "CN=*", "policy": "allow"},
]


@pytest.mark.parametrize(
    ("identity", "is_admitted"),
    [
        ("CN=bad", False),
        ("CN=badly\n", False),
        ("CN=bed", True),
        ("CN=[x]", True),
        ("CN=x", False),
        ("CN=*", True),
        ("CN=other", False),
        ("", False),
    ],
)
def test_the_first_rule_that_fits_decides(identity: str, is_admitted: bool) -> None:
    assert made("list", rules=RULES).admits(identity) is is_admitted


def test_without_a_rule_the_policy_decides() -> None:
    assert made("list", policy="allow").admits("CN=anybody")
    assert not made("list").admits("CN=anybody")


def test_what_is_no_authorization_is_refused() -> None:
    store = ObjectStore()
    store.add({"qom-type": "iothread", "id": "i"})
    for object_id in ("i", "nope"):
        with pytest.raises(QMPError, match=f"Cannot find QAuthZ object ID {object_id}"):
            store.authorization(object_id)
