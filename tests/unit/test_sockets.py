"""Addresses, and what cannot be opened; texts as recorded from QEMU 11.1."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from qmpserver.errors import QMPError
from qmpserver.sockets import (
    FdAddress,
    Peer,
    SocketAddress,
    TcpAddress,
    UnixAddress,
    activated_fds,
    listen,
    peer_of,
    socket_of,
)

LONG = "a" * 120


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (
            UnixAddress("/nowhere/x.sock"),
            "Failed to bind socket to /nowhere/x.sock: No such file or directory",
        ),
        (UnixAddress(LONG), f"UNIX socket path '{LONG}' is too long"),
        (UnixAddress(LONG, is_abstract=True), f"UNIX socket path '{LONG}' is too long"),
        (
            TcpAddress("127.0.0.1", "xx"),
            "address resolution failed for 127.0.0.1:xx: Servname not supported for ai_socktype",
        ),
        (TcpAddress("127.0.0.1", "99999"), "address resolution failed for 127.0.0.1:99999: no such port"),
        pytest.param(
            TcpAddress("h", "9" * 5000),
            f"address resolution failed for h:{'9' * 5000}: no such port",
            id="too many digits",
        ),
        (
            TcpAddress("127.0.0.1", "5", use_ipv4=False, use_ipv6=False),
            "Cannot disable IPv4 and IPv6 at same time",
        ),
        (
            TcpAddress("::1", "0", use_ipv6=False),
            "address resolution failed for ::1:0: Address family for hostname not supported",
        ),
        (TcpAddress("192.0.2.1", "0"), "Failed to bind socket: Cannot assign requested address"),
        (FdAddress(12345), "File descriptor '12345' is not a socket"),
    ],
    ids=str,
)
def test_what_cannot_be_listened_on_is_named(address: SocketAddress, text: str) -> None:
    with pytest.raises(QMPError) as refused:
        listen(address)
    assert refused.value.description == text


def test_a_file_is_no_socket(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(QMPError, match="is not a socket"):
        socket_of(file.fileno())


def test_a_connected_socket_cannot_be_listened_on() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(QMPError, match="is not a listening socket"):
        listen(FdAddress(ours.fileno()))


def test_a_taken_port_is_passed_over_for_the_next_up_to_the_last() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(QMPError, match="Failed to find an available port: Address already in use"):
            listen(TcpAddress("127.0.0.1", str(port)))
        (found,) = listen(TcpAddress("127.0.0.1", str(port), last_port=port + 50))
        with found:
            assert port < found.getsockname()[1] <= port + 50
            assert not found.getblocking()


def test_all_addresses_of_a_name_get_the_same_port() -> None:
    sockets = listen(TcpAddress("", "0"))
    ports = {opened.getsockname()[1] for opened in sockets}
    for opened in sockets:
        opened.close()
    assert len(ports) == 1


def test_the_kernel_vouches_for_the_peer_of_a_unix_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_of(ours) == Peer(uid=os.getuid(), gid=os.getgid(), pid=os.getpid())
        assert peer_of(ours).to_log() == {"uid": os.getuid(), "pid": os.getpid()}


def test_an_address_is_shown_as_it_is_written() -> None:
    shown = [
        str(each) for each in (UnixAddress("/a"), TcpAddress("h", "1"), TcpAddress("::1", "1"), FdAddress(3))
    ]
    assert shown == ["unix:/a", "tcp:h:1", "tcp:[::1]:1", "fd:3"]


@pytest.mark.parametrize(
    ("environment", "fds"),
    [
        ({"LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}, [3, 4]),
        ({"LISTEN_PID": "8", "LISTEN_FDS": "2"}, []),
        ({"LISTEN_FDS": "2"}, []),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "x"}, []),
        ({}, []),
    ],
)
def test_sockets_of_a_service_manager_are_for_the_process_it_names(
    environment: dict[str, str], fds: list[int]
) -> None:
    left = dict(environment)
    assert activated_fds(left, 7) == fds
    assert left == ({} if fds else environment)


@pytest.mark.parametrize("make", [lambda path: path.write_text("data"), lambda path: path.mkdir()])
def test_what_is_no_socket_is_never_removed(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "precious"
    make(path)
    with pytest.raises(QMPError, match="Address already in use"):
        listen(UnixAddress(str(path)))
    assert path.exists()
