"""The flat key=value syntax."""

import pytest

from qmpserver.errors import ParameterError
from qmpserver.options.flat_options import Kind, Value, parse

KINDS = {
    "backend": Kind.STRING,
    "path": Kind.STRING,
    "server": Kind.BOOLEAN,
    "wait": Kind.BOOLEAN,
    "nodelay": Kind.BOOLEAN,
    "delay": Kind.BOOLEAN,
    "to": Kind.NUMBER,
    "size": Kind.SIZE,
}


def no_warning(what: str, instead: str) -> None:
    pytest.fail(f"unexpected warning: {what}")


PARSED: list[tuple[str, str | None, dict[str, Value]]] = [
    ("", None, {}),
    ("null,id=a", "a", {"backend": "null"}),
    ("id=a,backend=null", "a", {"backend": "null"}),
    ("null,id=a,id=b", "a", {"backend": "null"}),
    ("null,id=a.b-c_d9", "a.b-c_d9", {"backend": "null"}),
    ("socket,path=a,,b,server=on", None, {"backend": "socket", "path": "a,b", "server": True}),
    ("a,,b=c,path=x", None, {"backend": "a,b=c", "path": "x"}),
    (",path=x", None, {"backend": "", "path": "x"}),
    ("x,path=,", None, {"backend": "x", "path": ""}),
    ("x,server=yes,wait=n", None, {"backend": "x", "server": True, "wait": False}),
    ("x,server=true,server=off", None, {"backend": "x", "server": False}),
    ("x,to=0x10", None, {"backend": "x", "to": 16}),
    ("x,to=010", None, {"backend": "x", "to": 8}),
    ("x,to=-1", None, {"backend": "x", "to": (1 << 64) - 1}),
    ("x,size=1.5k", None, {"backend": "x", "size": 1536}),
    ("x,size=2G", None, {"backend": "x", "size": 2 << 30}),
    ("x,size=0x10", None, {"backend": "x", "size": 16}),
    ("x,size=.5k", None, {"backend": "x", "size": 512}),
    ("x,size=+7b", None, {"backend": "x", "size": 7}),
]


@pytest.mark.parametrize(("text", "option_id", "values"), PARSED)
def test_values_come_out_in_their_types(text: str, option_id: str | None, values: dict[str, Value]) -> None:
    parsed = parse(text, KINDS, "backend", no_warning)
    assert (parsed.option_id, parsed.values, parsed.wants_help) == (option_id, values, False)


REFUSED = [
    ("null,id=", "Parameter 'id' expects an identifier"),
    ("null,id=1", "Parameter 'id' expects an identifier"),
    ("null,id=_a", "Parameter 'id' expects an identifier"),
    ("null,id=a b", "Parameter 'id' expects an identifier"),
    ("null,id=1,server=q", "Parameter 'id' expects an identifier"),
    ("null,bogus=x,server=q", "Invalid parameter 'bogus'"),
    ("null,server=q,bogus=x", "Parameter 'server' expects 'on' or 'off'"),
    ("null,server=On", "Parameter 'server' expects 'on' or 'off'"),
    ("null,server=", "Parameter 'server' expects 'on' or 'off'"),
    ("null,to=x", "Parameter 'to' expects a number"),
    ("null,to=08", "Parameter 'to' expects a number"),
    ("null,to=1k", "Parameter 'to' expects a number"),
    ("null,to=", "Parameter 'to' expects a number"),
    ("null,to=99999999999999999999", "Value '99999999999999999999' is too large for parameter 'to'"),
    ("null,size=q", "Parameter 'size' expects a non-negative number below 2^64"),
    ("null,size=1.5", "Parameter 'size' expects a non-negative number below 2^64"),
    ("null,size=0x1k", "Parameter 'size' expects a non-negative number below 2^64"),
    ("null,size=-1", "Value '-1' is out of range for parameter 'size'"),
    ("help=1", "Invalid parameter 'help'"),
    ("null,=b", "Invalid parameter ''"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_wrong_value_is_refused_with_qemus_text(text: str, message: str) -> None:
    with pytest.raises(ParameterError) as refusal:
        parse(text, KINDS, "backend", no_warning)
    assert str(refusal.value) == message


SHORT_FORMS = [
    ("server", {"server": True}, "server=on"),
    ("nowait", {"wait": False}, "wait=off"),
    ("delay", {"delay": True}, "nodelay=off"),
    ("nodelay", {"delay": False}, "nodelay=on"),
]


@pytest.mark.parametrize(("word", "values", "instead"), SHORT_FORMS)
def test_a_word_without_a_value_is_a_boolean_and_earns_a_warning(
    word: str, values: dict[str, Value], instead: str
) -> None:
    warnings: list[tuple[str, str]] = []
    parsed = parse(f"x,{word}", KINDS, "backend", lambda *warning: warnings.append(warning))
    assert parsed.values == {"backend": "x", **values}
    assert warnings == [(f"short-form boolean option '{word}' deprecated", f"Please use {instead} instead")]


@pytest.mark.parametrize("text", ["help", "?", "x,help", "x,id=1,?", "help,id=a"])
def test_help_is_noticed_before_anything_else_is_checked(text: str) -> None:
    assert parse(text, KINDS, "backend", no_warning).wants_help
