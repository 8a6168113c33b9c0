"""What --chardev understands, and refuses as the real storage daemon does."""

import subprocess

import pytest

from qmpserver.chardevs.options import Chardev, SocketOptions, parse_chardev
from qmpserver.errors import QMPError
from qmpserver.options.structured import HelpWanted
from tests.peers import need


def no_warning(what: str, instead: str) -> None:
    pytest.fail(f"unexpected warning: {what}")


def server(**options: object) -> SocketOptions:
    return SocketOptions(is_server=True, **options)  # type: ignore[arg-type]


UNDERSTOOD = [
    ("null,id=a", Chardev("a", "null")),
    ("stdio,id=a,signal=off", Chardev("a", "stdio")),
    ("socket,id=a,path=/s", Chardev("a", "socket", SocketOptions(path="/s"))),
    ("socket,id=a,path=/s,server=on", Chardev("a", "socket", server(path="/s", wait=True))),
    ("socket,id=a,path=/s,server=on,wait=off", Chardev("a", "socket", server(path="/s"))),
    (
        "socket,id=a,path=n,abstract=on,tight=off,server=on,wait=off",
        Chardev("a", "socket", server(path="n", abstract=True, tight=False)),
    ),
    (
        "socket,id=a,host=::1,port=0,to=9,ipv4=off,ipv6=on,nodelay=on,server=on,wait=off",
        Chardev("a", "socket", server(host="::1", port="0", to=9, ipv4=False, ipv6=True, nodelay=True)),
    ),
    (
        "socket,id=a,host=h,port=qmp,delay=off",
        Chardev("a", "socket", SocketOptions(host="h", port="qmp", nodelay=True)),
    ),
    ("socket,id=a,fd=5,server=on,wait=off", Chardev("a", "socket", server(descriptor="5"))),
    (
        "socket,id=a,path=/s,reconnect-ms=20",
        Chardev("a", "socket", SocketOptions(path="/s", reconnect_ms=20)),
    ),
]


@pytest.mark.parametrize(("text", "chardev"), UNDERSTOOD)
def test_a_chardev_is_understood(text: str, chardev: Chardev) -> None:
    assert parse_chardev(text, no_warning) == chardev


REFUSED_AS_QEMU_DOES = [
    ("", "chardev: no id specified"),
    ("x", "chardev: no id specified"),
    ("id=a", 'chardev: "a" missing backend'),
    ("x,id=a", "'x' is not a valid char driver name"),
    (",id=a", "'' is not a valid char driver name"),
    ("null,id=a,bogus=x", "Invalid parameter 'bogus'"),
    ("socket,id=a,path=/s,server=maybe,wait=off", "Parameter 'server' expects 'on' or 'off'"),
    ("socket,id=a,path=/s,host=h,port=1", "None or one of 'path', 'fd' or 'host' option required."),
    ("socket,id=a,path=/s,fd=", "None or one of 'path', 'fd' or 'host' option required."),
    ("socket,id=a,host=h", "chardev: socket: no port given"),
    ("socket,id=a,path=/s,delay=on,nodelay=on", "'delay' and 'nodelay' are mutually exclusive"),
    ("socket,id=a,path=/s,wait=off", "'wait' option is incompatible with socket in client connect mode"),
    ("socket,id=a,path=/s,wait=on", "'wait' option is incompatible with socket in client connect mode"),
    ("socket,id=a,path=/s,server=on,wait=off,tls-creds=x", "No TLS credentials with id 'x'"),
    ("socket,id=a,host=h,port=1,server=on,to=x", "Parameter 'to' expects a number"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED_AS_QEMU_DOES)
def test_a_wrong_chardev_is_refused_with_qemus_text(text: str, message: str) -> None:
    with pytest.raises(QMPError) as refusal:
        parse_chardev(text, no_warning)
    assert str(refusal.value) == message


@pytest.mark.parametrize(("text", "message"), REFUSED_AS_QEMU_DOES)
def test_qemu_refuses_the_same_chardev_with_the_same_text(text: str, message: str) -> None:
    done = subprocess.run(
        [need("qemu-storage-daemon"), "--chardev", text],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == f"qemu-storage-daemon: --chardev {text}: {message}\n"


REFUSED = [
    ("udp,id=a,port=1", "chardev backend 'udp' is not supported"),
    ("socket,id=a,path=/s,server=on,wait=off,telnet=on", "chardev option 'telnet' is not supported"),
    ("socket,id=a,path=/s,server=on,wait=off,websocket=on", "chardev option 'websocket' is not supported"),
    ("null,id=a,mux=on", "chardev option 'mux' is not supported"),
    ("null,id=a,logfile=x", "chardev option 'logfile' is not supported"),
    (
        "socket,id=a,path=/s,server=on,wait=off,reconnect-ms=0",
        "'reconnect-ms' option is incompatible with socket in server listen mode",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_is_not_served_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(QMPError) as refusal:
        parse_chardev(text, no_warning)
    assert str(refusal.value) == message


def test_what_is_turned_off_is_no_reason_to_refuse() -> None:
    assert parse_chardev("null,id=a,telnet=off,mux=off", no_warning) == Chardev("a", "null")


def test_help_lists_the_backends() -> None:
    with pytest.raises(HelpWanted, match="socket"):
        parse_chardev("help", no_warning)
