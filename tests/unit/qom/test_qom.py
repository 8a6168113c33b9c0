"""Objects are found by path, and their properties read and changed, with QEMU's words."""

import asyncio
from typing import Any

import pytest

from qmpserver.clock import ManualClock
from qmpserver.commands import qom
from qmpserver.commands.object import query_iothreads
from qmpserver.daemon import Daemon
from qmpserver.errors import QMPError
from qmpserver.schema.loader import load

SCHEMA = load()


@pytest.fixture
def daemon() -> Daemon:
    """Return a daemon with a throttle group and an iothread."""
    made = Daemon(SCHEMA, ManualClock())
    made.objects.add({"qom-type": "throttle-group", "id": "g", "limits": {"bps-total": 100}})
    made.objects.add({"qom-type": "iothread", "id": "io", "thread-pool-max": 5})
    made.objects.add({"qom-type": "secret", "id": "s", "data": "word"})
    return made


def change(daemon: Daemon, **arguments: Any) -> None:
    """Carry out ``qom-set``."""
    asyncio.run(qom.qom_set(daemon, **arguments))


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/objects/g", "x-bps-total", 100),
        ("g", "type", "throttle-group"),
        ("objects/g", "x-bps-total-max-length", 1),
        ("//objects//io/", "poll-max-ns", 32768),
        ("io", "poll-weight", 3),
        ("/objects", "io", "/objects/io"),
        ("/", "type", "container"),
        ("/", "objects", "/objects"),
        ("s", "format", "raw"),
        ("s", "data", ""),
    ],
)
def test_a_property_is_read(daemon: Daemon, path: str, name: str, value: Any) -> None:
    assert qom.qom_get(daemon, path=path, property=name) == value


def test_the_limits_as_a_whole_are_shown_and_changed_in_part(daemon: Daemon) -> None:
    change(daemon, path="g", property="limits", value={"bps-total-max": 500, "bps-total-max-length": 4})
    limits = qom.qom_get(daemon, path="/objects/g", property="limits")
    assert len(limits) == 19
    assert {name: value for name, value in limits.items() if value and not name.endswith("length")} == {
        "bps-total": 100,
        "bps-total-max": 500,
    }
    assert daemon.objects.throttle_group("g").limits.bps_total.max_length == 4


@pytest.mark.parametrize(
    ("path", "name", "value", "text"),
    [
        ("/objects/none", "x", 1, "Device '/objects/none' not found"),
        ("none", "x", 1, "Device 'none' not found"),
        ("", "x", 1, "Device '' not found"),
        ("g", "nope", 1, "Property 'throttle-group.nope' not found"),
        ("g", "type", "x", "Property 'throttle-group.type' is not writable"),
        ("/objects", "g", "x", "Property 'container.g' is not writable"),
        ("g", "x-bps-total", 5, "Property cannot be set after initialization"),
        ("g", "limits", 5, "Invalid parameter type for 'limits', expected: object"),
        ("g", "limits", {"x": 5}, "Parameter 'limits.x' is unexpected"),
        (
            "g",
            "limits",
            {"bps-total": "s"},
            "Invalid parameter type for 'limits.bps-total', expected: integer",
        ),
        (
            "g",
            "limits",
            {"bps-read": 7},
            "bps/iops/max total values and read/write values cannot be used at the same time",
        ),
        (
            "g",
            "limits",
            {"bps-total-max-length": 1 << 32},
            "bps-total-max-length value must be in the range [0, 4294967295]",
        ),
        ("io", "poll-max-ns", -1, "poll-max-ns value must be in range [0, 9223372036854775807]"),
        ("io", "poll-weight", 64, "poll-weight value must be in range [0, 63]"),
        ("io", "poll-weight", "x", "Invalid parameter type for 'poll-weight', expected: integer"),
        ("io", "thread-pool-min", 9, "bad thread-pool-min/thread-pool-max values"),
        ("s", "data", "x", "Property 'secret.data' is not writable"),
    ],
)
def test_what_cannot_be_set_is_refused_and_changes_nothing(
    daemon: Daemon, path: str, name: str, value: Any, text: str
) -> None:
    before = qom.qom_list_get(daemon, paths=["g", "io"])
    with pytest.raises(QMPError) as caught:
        change(daemon, path=path, property=name, value=value)
    assert caught.value.description == text
    assert qom.qom_list_get(daemon, paths=["g", "io"]) == before


def test_an_iothread_keeps_what_it_is_told_and_zero_is_the_default(daemon: Daemon) -> None:
    change(daemon, path="io", property="poll-max-ns", value=0)
    change(daemon, path="io", property="poll-grow", value=7)
    change(daemon, path="io", property="poll-grow", value=0)
    assert qom.qom_get(daemon, path="io", property="poll-max-ns") == 0
    assert qom.qom_get(daemon, path="io", property="poll-grow") == 2


def test_a_path_that_fits_twice_is_ambiguous(daemon: Daemon) -> None:
    daemon.objects.add({"qom-type": "iothread", "id": "objects"})
    with pytest.raises(QMPError, match="Path 'objects' is ambiguous"):
        qom.qom_list(daemon, path="objects")
    assert qom.qom_get(daemon, path="/objects/objects", property="type") == "iothread"


def test_objects_and_types_list_their_properties(daemon: Daemon) -> None:
    shown = {entry["name"]: entry["type"] for entry in qom.qom_list(daemon, path="/objects")}
    assert shown == {
        "type": "string",
        "g": "child<throttle-group>",
        "io": "child<iothread>",
        "s": "child<secret>",
    }
    for name in ("throttle-group", "iothread", "secret"):
        listed = qom.qom_list_properties(daemon, typename=name)
        object_id = {"throttle-group": "g", "iothread": "io", "secret": "s"}[name]
        assert listed == qom.qom_list(daemon, path=object_id)
    assert len(qom.qom_list_properties(daemon, typename="throttle-group")) == 21
    with pytest.raises(QMPError, match="Class 'nope' not found"):
        qom.qom_list_properties(daemon, typename="nope")
    with pytest.raises(QMPError, match="Parameter 'typename' expects a QOM type"):
        qom.qom_list_properties(daemon, typename="user-creatable")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"implements": "secret_common"}, {"secret"}),
        ({"implements": "secret_common", "abstract": True}, {"secret", "secret_common"}),
        ({"implements": "throttle-group"}, {"throttle-group"}),
        ({"implements": "event-loop-base"}, {"iothread"}),
        ({"implements": "container", "abstract": True}, {"container"}),
        ({"implements": "nope"}, set()),
    ],
)
def test_types_are_listed_by_what_they_descend_from(
    daemon: Daemon, arguments: dict[str, Any], names: set[str]
) -> None:
    assert {entry["name"] for entry in qom.qom_list_types(daemon, **arguments)} == names


def test_every_type_of_object_that_can_be_made_is_a_type(daemon: Daemon) -> None:
    creatable = {entry["name"] for entry in qom.qom_list_types(daemon, implements="user-creatable")}
    options: Any = SCHEMA.type("ObjectOptions").type
    assert creatable == set(options.tag_values)


@pytest.mark.parametrize(
    ("properties", "text"),
    [
        ({"thread-pool-min": -1}, "thread-pool-min value must be in range [0, 9223372036854775807]"),
        ({"thread-pool-max": 0}, "bad thread-pool-min/thread-pool-max values"),
        ({"thread-pool-min": 5, "thread-pool-max": 2}, "bad thread-pool-min/thread-pool-max values"),
        ({"poll-weight": 64}, "poll-weight value must be in range [0, 63]"),
    ],
)
def test_an_iothread_without_sense_is_not_made(daemon: Daemon, properties: dict[str, int], text: str) -> None:
    with pytest.raises(QMPError) as caught:
        daemon.objects.add({"qom-type": "iothread", "id": "new", **properties})
    assert caught.value.description == text
    assert daemon.objects.get("new") is None


@pytest.mark.parametrize(
    ("properties", "text"),
    [
        ({"x-bps-total": -100}, "Property values cannot be negative"),
        ({"x-bps-total-max-length": 0}, "the burst length cannot be 0"),
        (
            {"x-bps-total-max-length": 5000000000},
            "x-bps-total-max-length value must be in therange [0, 4294967295]",
        ),
        (
            {"x-bps-total": 100, "x-bps-read": 5},
            "bps/iops/max total values and read/write values cannot be used at the same time",
        ),
    ],
)
def test_a_throttle_group_without_sense_is_not_made(
    daemon: Daemon, properties: dict[str, int], text: str
) -> None:
    with pytest.raises(QMPError) as caught:
        daemon.objects.add({"qom-type": "throttle-group", "id": "new", **properties})
    assert caught.value.description == text
    assert daemon.objects.get("new") is None


def test_what_limits_says_counts_more_than_what_single_properties_say(daemon: Daemon) -> None:
    daemon.objects.add(
        {"qom-type": "throttle-group", "id": "new", "x-iops-total": 1, "limits": {"iops-total": 2}}
    )
    assert qom.qom_get(daemon, path="new", property="x-iops-total") == 2


def test_iothreads_are_shown_newest_first(daemon: Daemon) -> None:
    daemon.objects.add({"qom-type": "iothread", "id": "new", "poll-grow": 5})
    shown = query_iothreads(daemon)
    assert [entry["id"] for entry in shown] == ["new", "io"]
    assert shown[0].pop("thread-id") > 0
    assert shown[0] == {
        "id": "new",
        "poll-max-ns": 32768,
        "poll-grow": 5,
        "poll-shrink": 2,
        "poll-weight": 3,
        "aio-max-batch": 0,
    }
