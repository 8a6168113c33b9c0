"""Say where to listen, or whom to ask."""

from collections.abc import MutableMapping

from qmpserver.cli.command_line import Given
from qmpserver.cli.nbd.combinations import check_activated
from qmpserver.errors import QMPError
from qmpserver.sockets import FdAddress, SocketAddress, TcpAddress, UnixAddress, activated_fds

DEFAULT_HOST = "0.0.0.0"  # noqa: S104 - every address, as QEMU has it
DEFAULT_PORT = "10809"


def address_of(given: Given, environment: MutableMapping[str, str], process_id: int) -> SocketAddress:
    """Return the address: that of a socket that a service manager has passed, if it has.

    Args:
        given: The options.
        environment: Says what was passed, and says it no more afterwards.
        process_id: This process's.

    Raises:
        QMPError: The service manager and the options contradict each other, or several sockets were passed.
    """
    passed = activated_fds(environment, process_id)
    if not passed:
        return asked_address(given)
    check_activated(given)
    if len(passed) > 1:
        raise QMPError("qemu-nbd does not support socket activation with LISTEN_FDS > 1")
    return FdAddress(passed[0])


def asked_address(given: Given) -> UnixAddress | TcpAddress:
    """Return the address that the options name.

    Raises:
        QMPError: A label is asked for where there is no UNIX socket to have it.
    """
    path = given.last("socket")
    if path is not None:
        return UnixAddress(path)
    if given.has("selinux-label"):
        raise QMPError("--selinux-label is not permitted without --socket")
    return TcpAddress(given.last("bind") or DEFAULT_HOST, given.last("port") or DEFAULT_PORT)
