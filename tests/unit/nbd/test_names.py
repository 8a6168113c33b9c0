"""Names of exports, as QEMU 11.1 takes them (recorded with ``qemu-img info``)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmpserver.errors import QMPError
from qmpserver.nbd.names import make_filename, parse_filename


def inet(host: str, port: str = "10809") -> dict[str, Any]:
    return {"type": "inet", "host": host, "port": port}


def unix(path: str) -> dict[str, Any]:
    return {"type": "unix", "path": path}


@pytest.mark.parametrize(
    ("name", "server", "export"),
    [
        ("nbd://localhost", inet("localhost"), None),
        ("nbd://localhost/", inet("localhost"), None),
        ("nbd+tcp://127.0.0.1:1/x/y", inet("127.0.0.1", "1"), "x/y"),
        ("nbd://[::1]:1/a%20b", inet("::1", "1"), "a b"),
        ("nbd+unix:///x?socket=/run/s", unix("/run/s"), "x"),
        ("nbd+unix://?socket=/run/a%20b", unix("/run/a b"), None),
        ("nbd:localhost:10809", inet("localhost"), None),
        ("nbd:[::1]:1", inet("::1", "1"), None),
        ("nbd:127.0.0.1:1:exportname=a:b", inet("127.0.0.1", "1"), "a:b"),
        ("nbd:unix:/run/s:exportname=a", unix("/run/s"), "a"),
    ],
)
def test_a_name_stands_for_an_export(name: str, server: dict[str, Any], export: str | None) -> None:
    expected = {"driver": "nbd", "server": server}
    assert parse_filename(name) == (expected if export is None else {**expected, "export": export})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nbd://", "No valid URL specified"),
        ("nbd+unix:///x", "No valid URL specified"),
        ("nbd+unix://h/x?socket=/a", "No valid URL specified"),
        ("nbd+unix:///x?socket=/a&foo=1", "No valid URL specified"),
        ("nbd://127.0.0.1:1/?a=b", "No valid URL specified"),
        ("nbd://127.0.0.1:bad/", "No valid URL specified"),
        ("nbd+foo://x", "No valid URL specified"),
        ("nbd:localhost", "error parsing address 'localhost'"),
        ("nbd:localhost:1:exportname=", "NBD server address missing"),
    ],
)
def test_a_malformed_name_is_refused(name: str, text: str) -> None:
    with pytest.raises(QMPError) as caught:
        parse_filename(name)
    assert caught.value.description == text


@settings(max_examples=60, deadline=None)
@given(
    export=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
    server=st.sampled_from([unix("/run/s"), inet("localhost", "7"), inet("::1", "7")]),
)
def test_the_name_that_is_made_stands_for_the_export(export: str, server: dict[str, Any]) -> None:
    name = make_filename(server, export)
    assert name is not None
    assert parse_filename(name) == {"driver": "nbd", "server": server, "export": export}


def test_what_has_no_name_is_given_none() -> None:
    assert make_filename({"type": "fd", "str": "5"}, None) is None
