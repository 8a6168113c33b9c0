"""Say what a driver finds around it beyond the nodes: the time, the objects, who listens."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from qmpserver.clock import Clock, SystemClock
from qmpserver.driver_api.secrets import SecretSource, no_secrets
from qmpserver.errors import QMPError

if TYPE_CHECKING:  # slow to import, and few drivers need them
    import ssl

    from qmpserver.throttling.group import ThrottleGroup


def _no_group(name: str) -> "ThrottleGroup":
    raise QMPError(f"Throttle group '{name}' does not exist")


def _no_credentials(name: str) -> "ssl.SSLContext":
    raise QMPError(f"No TLS credentials with id '{name}'")


def no_such_fd(name: str) -> QMPError:
    """Make the refusal of a descriptor's name that nobody has given."""
    return QMPError(f"File descriptor named '{name}' has not been found", code="not-found")


def no_named_fds(name: str) -> int:
    """Refuse a descriptor's name.

    Raises:
        QMPError: Always.
    """
    raise no_such_fd(name)


class Surroundings(NamedTuple):
    """What the server lends its drivers.

    Attributes:
        clock: What to tell the time by.
        secret: Finds a secret object's bytes by its id.
        throttle_group: Finds a group by its id; raises QMPError when there is none.
        tls_client: Makes what a client encrypts with, of the credentials of that id; raises QMPError.
        claim_fd: Hands over the descriptor that the client gave this name, while a node is opened for it; raises QMPError.
        emit: Tells clients of an event, by its name and data.
    """

    clock: Clock = SystemClock()
    secret: SecretSource = no_secrets
    throttle_group: Callable[[str], "ThrottleGroup"] = _no_group
    tls_client: Callable[[str], "ssl.SSLContext"] = _no_credentials
    claim_fd: Callable[[str], int] = no_named_fds
    emit: Callable[[str, dict[str, Any]], None] = lambda _name, _data: None
