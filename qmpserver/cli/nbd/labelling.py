"""Give the listening socket a label of SELinux's (``--selinux-label``)."""

import contextlib
import os
from collections.abc import Iterator

from qmpserver.errors import QMPError, error_text

_ATTRIBUTE = "/proc/thread-self/attr/sockcreate"


@contextlib.contextmanager
def sockets_labelled(label: str | None) -> Iterator[None]:
    """Have the sockets that are made meanwhile in this thread bear a label, if there is one.

    Raises:
        QMPError: The kernel does not know the label.
    """
    if label is None:
        yield
        return
    try:
        _set(os.fsencode(label) + b"\0")
    except OSError as error:
        raise QMPError(f"Cannot set SELinux socket create context to {label}: {error_text(error)}") from error
    try:
        yield
    finally:
        _clear()


def _clear() -> None:
    try:
        _set(b"\0")
    except OSError as error:
        raise QMPError(f"Cannot clear SELinux socket create context: {error_text(error)}") from error


def _set(label: bytes) -> None:
    descriptor = os.open(_ATTRIBUTE, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, label)
    finally:
        os.close(descriptor)
