"""Where the NBD server listens."""

import pytest

from qmpserver.cli.command_line import Given, Tool
from qmpserver.cli.nbd.address import address_of
from qmpserver.errors import QMPError
from qmpserver.sockets import FdAddress, SocketAddress, TcpAddress, UnixAddress

PID = 7


def given(**options: str) -> Given:
    values = {name.replace("_", "-"): [value] for name, value in options.items()}
    return Given(Tool("qemu-nbd", "qemu-nbd", ""), values)


@pytest.mark.parametrize(
    ("options", "address"),
    [
        (given(), TcpAddress("0.0.0.0", "10809")),
        (given(bind="::1", port="1"), TcpAddress("::1", "1")),
        (given(socket="/s", bind="::1", port="1", selinux_label="x"), UnixAddress("/s")),
    ],
)
def test_the_options_say_where(options: Given, address: SocketAddress) -> None:
    for environment in ({}, {"LISTEN_PID": "8", "LISTEN_FDS": "1"}):
        assert address_of(options, dict(environment), PID) == address


def test_a_service_manager_may_have_decided_it() -> None:
    environment = {"LISTEN_PID": "7", "LISTEN_FDS": "1"}
    assert address_of(given(), environment, PID) == FdAddress(3)
    assert not environment


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (given(connect="/dev/nbd0", socket="/s"), "NBD device can't be set when using socket activation"),
        (given(socket="/s", bind="a"), "Unix socket can't be set when using socket activation"),
        (given(bind="a", port="1"), "The interface can't be set when using socket activation"),
        (given(port="1"), "TCP port number can't be set when using socket activation"),
        (given(selinux_label="x"), "SELinux label can't be set when using socket activation"),
        (given(list=""), "List mode is incompatible with socket activation"),
    ],
)
def test_and_then_the_options_may_not_say_it_again(options: Given, text: str) -> None:
    with pytest.raises(QMPError) as refusal:
        address_of(options, {"LISTEN_PID": "7", "LISTEN_FDS": "1"}, PID)
    assert str(refusal.value) == text


def test_several_sockets_are_too_many() -> None:
    with pytest.raises(QMPError, match="qemu-nbd does not support socket activation with LISTEN_FDS > 1"):
        address_of(given(), {"LISTEN_PID": "7", "LISTEN_FDS": "2"}, PID)


def test_only_a_unix_socket_bears_a_label() -> None:
    with pytest.raises(QMPError, match="--selinux-label is not permitted without --socket"):
        address_of(given(selinux_label="x"), {}, PID)
