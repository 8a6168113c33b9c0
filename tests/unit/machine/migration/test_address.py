"""A URI and the arguments of a command say where a machine goes."""

from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.machine.migration.address import (
    DescriptorAddress,
    ExecAddress,
    FileAddress,
    MigrationAddress,
    choose,
    parse,
)
from qmpserver.sockets import TcpAddress, UnixAddress

URIS: dict[str, MigrationAddress] = {
    "unix:/a:b": UnixAddress("/a:b"),
    "tcp:host:12": TcpAddress("host", "12"),
    "tcp:[::1]:12": TcpAddress("::1", "12"),
    "tcp::0": TcpAddress("", "0"),
    "tcp:host:12,to=14,ipv4=off,ipv6": TcpAddress("host", "12", 14, use_ipv4=False, use_ipv6=True),
    "fd:x": DescriptorAddress("x"),
    "exec:cat >a": ExecAddress(("/bin/sh", "-c", "cat >a")),
    "file:a": FileAddress("a"),
    "file:a,offset=0x10": FileAddress("a", 16),
    "file:a,offset=010": FileAddress("a", 10),
    "file:a,offset=1k": FileAddress("a", 1024),
    "file:a,offset=1,offset=2": FileAddress("a,offset=1", 2),
}
ADDRESSES: list[tuple[dict[str, Any], MigrationAddress]] = [
    ({"transport": "file", "filename": "a", "offset": 3}, FileAddress("a", 3)),
    ({"transport": "exec", "args": ["a", "b"]}, ExecAddress(("a", "b"))),
    ({"transport": "socket", "type": "unix", "path": "a"}, UnixAddress("a")),
    ({"transport": "socket", "type": "fd", "str": "x"}, DescriptorAddress("x")),
    (
        {"transport": "socket", "type": "inet", "host": "h", "port": "1", "ipv4": True},
        TcpAddress("h", "1", use_ipv4=True),
    ),
]
FILE = ADDRESSES[0][0]
REFUSED: list[tuple[list[dict[str, Any]], str]] = [
    (
        [{"channel-type": "main", "addr": FILE}, {"channel-type": "main", "addr": FILE}],
        "Channel list has more than one main entry",
    ),
    ([{"channel-type": "cpr", "addr": FILE}], "Migration over a channel of type 'cpr' is not supported"),
    (
        [{"channel-type": "main", "addr": {"transport": "exec", "args": []}}],
        "Migration over exec needs a program",
    ),
    (
        [{"channel-type": "main", "addr": {"transport": "rdma", "host": "h", "port": "1"}}],
        "Migration over rdma is not supported",
    ),
    (
        [{"channel-type": "main", "addr": {"transport": "socket", "type": "vsock", "cid": "1", "port": "2"}}],
        "Migration over vsock is not supported",
    ),
]


@pytest.mark.parametrize("uri", URIS)
def test_a_uri_means_an_address(uri: str) -> None:
    assert parse(uri) == choose(uri, None) == choose(uri, []) == URIS[uri]


@pytest.mark.parametrize(("address", "meant"), ADDRESSES)
def test_a_channel_means_an_address(address: dict[str, Any], meant: MigrationAddress) -> None:
    assert choose(None, [{"channel-type": "main", "addr": address}]) == meant


@pytest.mark.parametrize(("channels", "error"), REFUSED)
def test_channels_that_cannot_be_had_are_refused(channels: list[dict[str, Any]], error: str) -> None:
    with pytest.raises(QMPError) as refused:
        choose(None, channels)
    assert refused.value.description == error
