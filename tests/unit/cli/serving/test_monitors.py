"""What --monitor and --qmp understand."""

import pytest

from qmpserver.chardevs.options import Chardev, SocketOptions
from qmpserver.cli.serving.monitors import MonitorOptions, parse_monitor, parse_short_form
from qmpserver.errors import QMPError

MONITORS = [
    ("a", MonitorOptions("a", pretty=False)),
    ("chardev=a,mode=control", MonitorOptions("a", pretty=False)),
    ("a,pretty=on", MonitorOptions("a", pretty=True)),
    ("a,pretty=no,id=m", MonitorOptions("a", pretty=False)),
    ('{"chardev": "a", "pretty": true}', MonitorOptions("a", pretty=True)),
]


@pytest.mark.parametrize(("text", "monitor"), MONITORS)
def test_a_monitor_is_understood(text: str, monitor: MonitorOptions) -> None:
    assert parse_monitor(text) == monitor


REFUSED = [
    ("", "Parameter 'chardev' is missing"),
    ("mode=control", "Parameter 'chardev' is missing"),
    ("x,mode=q", "Parameter 'mode' does not accept value 'q'"),
    ("x,mode=readline", "Only QMP is supported"),
    ("x,mode", "Expected '=' after parameter 'mode'"),
    ("x,pretty", "Expected '=' after parameter 'pretty'"),
    ("x,pretty=q", "Parameter 'pretty' expects 'on' or 'off'"),
    ("x,bogus=q", "Parameter 'bogus' is unexpected"),
    ("x,id=1", "Parameter 'id' expects an identifier"),
    ("help", "Help is not available for this option"),
    ('{"x": "x"}', "Parameter 'chardev' is missing"),
    ('{"chardev": "x", "pretty": "on"}', "Invalid parameter type for 'pretty', expected: boolean"),
    ('{"chardev": 1}', "Invalid parameter type for 'chardev', expected: string"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_wrong_monitor_is_refused_with_qemus_text(text: str, message: str) -> None:
    with pytest.raises(QMPError) as refusal:
        parse_monitor(text)
    assert str(refusal.value) == message


def no_warning(what: str, instead: str) -> None:
    pytest.fail(f"unexpected warning: {what}")


SHORT_FORMS = [
    ("stdio", Chardev("q", "stdio")),
    ("unix:/run/s", Chardev("q", "socket", SocketOptions(path="/run/s", is_server=True))),
    ("unix:/run/s,wait=on", Chardev("q", "socket", SocketOptions(path="/run/s", is_server=True, wait=True))),
    ("unix:a,,b,server=off", Chardev("q", "socket", SocketOptions(path="a,b"))),
    ("unix:n,abstract=on", Chardev("q", "socket", SocketOptions(path="n", abstract=True, is_server=True))),
    (
        "tcp:localhost:4444",
        Chardev("q", "socket", SocketOptions(host="localhost", port="4444", is_server=True)),
    ),
    ("tcp:[::1]:4444", Chardev("q", "socket", SocketOptions(host="::1", port="4444", is_server=True))),
    (
        "tcp::4444,to=4450",
        Chardev("q", "socket", SocketOptions(host="", port="4444", to=4450, is_server=True)),
    ),
    ("fd:7", Chardev("q", "socket", SocketOptions(descriptor="7", is_server=True))),
]


@pytest.mark.parametrize(("text", "chardev"), SHORT_FORMS)
def test_a_short_form_is_understood(text: str, chardev: Chardev) -> None:
    assert parse_short_form(text, "q", no_warning) == chardev


WRONG_SHORT_FORMS = [
    ("", "'' is none of unix:PATH, tcp:HOST:PORT, fd:N, stdio and systemd"),
    ("/run/s", "'/run/s' is none of unix:PATH, tcp:HOST:PORT, fd:N, stdio and systemd"),
    ("tcp:localhost", "'tcp:localhost' has no port"),
    ("unix:/s,bogus=1", "Invalid parameter 'bogus'"),
]


@pytest.mark.parametrize(("text", "message"), WRONG_SHORT_FORMS)
def test_a_wrong_short_form_is_refused(text: str, message: str) -> None:
    with pytest.raises(QMPError) as refusal:
        parse_short_form(text, "q", no_warning)
    assert str(refusal.value) == message
