"""Addresses of TCP sockets are read as QEMU reads them."""

import re
from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.options.inet_address import parse_inet

ADDRESSES: dict[str, dict[str, Any]] = {
    "host:12": {"host": "host", "port": "12"},
    ":0": {"host": "", "port": "0"},
    "[::1]:nbd": {"host": "::1", "port": "nbd"},
    "a:b:c": {"host": "a", "port": "b:c"},
    "::1:0": {"host": "", "port": ":1:0"},
    "h:1,": {"host": "h", "port": "1"},
    "h:1,to=5,ipv4,keep-alive=off": {"host": "h", "port": "1", "to": 5, "ipv4": True, "keep-alive": False},
}
REFUSED = {
    "": "error parsing address ''",
    "host": "error parsing address 'host'",
    "host:,ipv4=on": "error parsing address 'host:'",
    "[::1:0": "error parsing IPv6 address '[::1:0'",
    "[::1]": "error parsing IPv6 address '[::1]'",
    "h:1,foo=1": "Invalid parameter 'foo'",
    "h:1,to=x": "Parameter 'to' expects a number",
    "h:1,ipv6=x": "Parameter 'ipv6' expects 'on' or 'off'",
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_is_read(text: str) -> None:
    assert parse_inet(text) == ADDRESSES[text]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(QMPError, match=f"^{re.escape(REFUSED[text])}$"):
        parse_inet(text)
