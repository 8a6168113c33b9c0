"""One client's conversation."""

import json
from typing import Any

import pytest

from qmpserver.qmp.messages import NO_ID
from qmpserver.qmp.requests import Request
from qmpserver.qmp.session import Mode, Session
from tests.unit.qmp.conversation import COMMANDS, NEGOTIATION_WITH_OOB, negotiated, take_all


def request(name: str, **members: Any) -> bytes:
    return json.dumps({"execute": name, **members}).encode() + b"\n"


def oob(name: str, **members: Any) -> bytes:
    return json.dumps({"exec-oob": name, **members}).encode() + b"\n"


def refused(wire_class: str, description: str, **members: Any) -> dict[str, Any]:
    return {**members, "error": {"class": wire_class, "desc": description}}


def suspended(opening: bytes) -> Session:
    """Return a session whose first command is under way."""
    session = negotiated(opening)
    session.feed(request("slow"))
    assert [item.name for item in take_all(session)] == ["slow"]
    session.suspend()
    return session


def test_the_greeting_offers_oob() -> None:
    greeting = json.loads(Session({"package": ""}, COMMANDS).greeting())
    assert greeting == {"QMP": {"version": {"package": ""}, "capabilities": ["oob"]}}


NOT_YET = "Expecting capabilities negotiation with 'qmp_capabilities'"
CLASH = "QMP input member 'exec-oob' is unexpected"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (request("query-x"), refused("CommandNotFound", NOT_YET)),
        (request("nope", id=1), refused("CommandNotFound", NOT_YET, id=1)),
        (b"[]\n", refused("GenericError", "QMP input must be a JSON object")),
        (b'{"id":5}\n', refused("GenericError", "QMP input lacks member 'execute'", id=5)),
        (oob("x-oob", id=1), refused("GenericError", CLASH, id=1)),
        (oob("qmp_capabilities"), refused("GenericError", CLASH)),
        (
            request("qmp_capabilities", arguments=[]),
            refused("GenericError", "QMP input member 'arguments' must be an object"),
        ),
        (
            request("qmp_capabilities", arguments={"x": 1}),
            refused("GenericError", "Parameter 'x' is unexpected"),
        ),
        (
            request("qmp_capabilities", arguments={"enable": "oob"}),
            refused("GenericError", "Invalid parameter type for 'enable', expected: array"),
        ),
        (
            request("qmp_capabilities", arguments={"enable": None}),
            refused("GenericError", "Invalid parameter type for 'enable', expected: array"),
        ),
        (
            request("qmp_capabilities", arguments={"enable": ["oob", 1]}, id=[]),
            refused("GenericError", "Invalid parameter type for 'enable[1]', expected: string", id=[]),
        ),
        (
            request("qmp_capabilities", arguments={"enable": ["oob", "bar"]}),
            refused("GenericError", "Parameter 'null' does not accept value 'bar'"),
        ),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_is_refused_while_negotiating_leaves_the_session_negotiating(
    data: bytes, answer: dict[str, Any]
) -> None:
    session = Session({}, COMMANDS)
    session.feed(data)
    assert take_all(session) == [answer]
    assert session.mode is Mode.NEGOTIATION


@pytest.mark.parametrize("arguments", [{}, {"enable": []}, {"enable": ["oob"]}, {"enable": ["oob", "oob"]}])
def test_negotiation_ends_with_an_empty_reply(arguments: dict[str, Any]) -> None:
    session = Session({}, COMMANDS)
    session.feed(request("qmp_capabilities", arguments=arguments, id="é"))
    assert take_all(session) == [{"return": {}, "id": "é"}]
    assert session.mode is Mode.COMMAND


def test_negotiating_twice_is_refused() -> None:
    session = negotiated()
    session.feed(request("qmp_capabilities"))
    text = "Capabilities negotiation is already complete, command ignored"
    assert take_all(session) == [refused("CommandNotFound", text)]


@pytest.mark.parametrize("request_id", [None, 0, -1, 1.5, "a", "", [], {}, [1, {"b": [None]}], True])
def test_an_id_of_any_type_comes_with_the_request_and_with_its_refusal(request_id: Any) -> None:
    session = negotiated()
    session.feed(request("query-x", id=request_id) + request("nope", id=request_id))
    given, refusal = take_all(session)
    assert given == Request("query-x", None, request_id, is_oob=False)
    assert refusal == refused("CommandNotFound", "The command nope has not been found", id=request_id)


def test_a_request_without_id_has_none() -> None:
    session = negotiated()
    session.feed(request("query-x", arguments={"a": 1}))
    assert take_all(session) == [Request("query-x", {"a": 1}, NO_ID, is_oob=False)]


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (oob("query-x", id=1), refused("GenericError", "The command query-x does not support OOB", id=1)),
        (oob("nope"), refused("CommandNotFound", "The command nope has not been found")),
        (
            oob("qmp_capabilities"),
            refused("GenericError", "The command qmp_capabilities does not support OOB"),
        ),
        (b'{"exec-oob":1}', refused("GenericError", "QMP input member 'exec-oob' must be a string")),
        (
            b'{"execute":"a","exec-oob":"b","id":9}',
            refused("GenericError", "QMP input member 'execute' clashes with 'exec-oob'", id=9),
        ),
    ],
)
def test_what_cannot_run_out_of_band_is_refused(data: bytes, answer: dict[str, Any]) -> None:
    session = negotiated(NEGOTIATION_WITH_OOB)
    session.feed(data)
    assert take_all(session) == [answer]


def test_without_oob_nothing_is_decoded_while_a_command_is_under_way() -> None:
    session = suspended(b'{"execute":"qmp_capabilities"}\n')
    session.feed(request("query-x") + b"%\n" + request("query-x"))
    assert session.take() is None
    assert not session.wants_input
    session.resume()
    first, stray, second = take_all(session)
    assert (first.name, second.name) == ("query-x", "query-x")
    assert stray["error"]["desc"].endswith("stray '%'")
    assert session.wants_input


def test_out_of_band_requests_overtake_those_that_wait() -> None:
    session = suspended(NEGOTIATION_WITH_OOB)
    session.feed(request("query-x", id=1) + b"[]\n" + oob("x-oob", id=2) + request("query-x", id=3))
    assert take_all(session) == [Request("x-oob", None, 2, is_oob=True)]
    session.resume()
    first, refusal, second = take_all(session)
    assert (first.request_id, second.request_id) == (1, 3)
    assert refusal == refused("GenericError", "QMP input must be a JSON object")


def test_eight_requests_wait_and_then_no_more_is_read() -> None:
    session = suspended(NEGOTIATION_WITH_OOB)
    for waiting in range(8):
        assert session.wants_input
        session.feed(request("query-x", id=waiting))
        assert session.take() is None
    assert not session.wants_input
    session.feed(request("query-x", id=8) + oob("x-oob"))
    assert session.take() is None
    session.resume()
    assert [item.request_id for item in take_all(session)] == [*range(9), NO_ID]
    assert session.wants_input


def test_a_session_is_idle_when_only_an_unfinished_message_is_left() -> None:
    session = negotiated()
    session.feed(request("query-x") + b'{"exec')
    assert not session.is_idle
    take_all(session)
    assert session.is_idle
