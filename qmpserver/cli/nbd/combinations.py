"""Refuse options that do not go together."""

from qmpserver.cli.command_line import Given
from qmpserver.errors import QMPError

_OF_A_DEVICE = (
    "export-name",
    "description",
    "connect",
    "disconnect",
    "format",
    "load-snapshot",
    "bitmap",
    "allocation-depth",
    "aio",
    "discard",
    "cache",
    "nocache",
)


class WrongUse(Exception):
    """Say that the command line has not as many words as it should."""


def check_combinations(given: Given, *, is_offset: bool) -> None:
    """Look at all options together.

    Args:
        given: The options.
        is_offset: Part of the image is left out.

    Raises:
        WrongUse: There is not exactly one image.
        QMPError: Two options contradict each other.
    """
    if given.has("list"):
        if given.operands:
            raise QMPError("List mode is incompatible with a file name")
        if is_offset or any(given.has(option) for option in _OF_A_DEVICE):
            raise QMPError("List mode is incompatible with per-device settings")
        if given.has("fork"):
            raise QMPError("List mode is incompatible with forking")
    elif len(given.operands) != 1:
        raise WrongUse
    _check_tls(given)


def _check_tls(given: Given) -> None:
    if given.has("tls-creds"):
        if given.has("connect"):
            raise QMPError("TLS is not supported with a host device")
        if given.has("tls-authz") and given.has("list"):
            raise QMPError("TLS authorization is incompatible with export list")
        if given.has("tls-hostname") and not given.has("list"):
            raise QMPError("TLS hostname is only supported with export list")
        return
    for option in ("tls-authz", "tls-hostname"):
        if given.has(option):
            raise QMPError(f"--{option} is not permitted without --tls-creds")


def check_activated(given: Given) -> None:
    """Refuse what a service manager has decided already.

    Raises:
        QMPError: It has passed a socket, and yet the command line says where to listen.
    """
    for option, text in (
        ("connect", "NBD device can't be set when using socket activation"),
        ("socket", "Unix socket can't be set when using socket activation"),
        ("bind", "The interface can't be set when using socket activation"),
        ("port", "TCP port number can't be set when using socket activation"),
        ("selinux-label", "SELinux label can't be set when using socket activation"),
        ("list", "List mode is incompatible with socket activation"),
    ):
        if given.has(option):
            raise QMPError(text)
