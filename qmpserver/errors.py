"""Name every way a request can be refused.

Two lanes.  The *data path* raises :class:`OSError` with an errno, because error policies and NBD
replies need one.  The *control path* raises :class:`QMPError`: a wire class and one sentence that
names the offending thing.  The wire knows five classes and no sixth; the subclasses below exist so
that code can catch by meaning.

    QMPError                        GenericError
    |-- CommandNotFound             CommandNotFound
    |-- DeviceNotActive             DeviceNotActive
    |-- DeviceNotFound              DeviceNotFound
    |-- KVMMissingCap               KVMMissingCap
    |-- ParameterError              GenericError    an argument is missing, unexpected or of a wrong type
    `-- NodeInUse                   GenericError    a permission, lock or running job forbids it
    OSError
    `-- CorruptImage                EIO             an image's own data contradicts its format
"""

import errno
import os
from typing import ClassVar, Self


class QMPError(Exception):
    """Refuse a command, with the text a client will read.

    Args:
        description: One sentence that names the offending thing; QEMU's where QEMU has one.
        code: What kind of refusal it is, for programs, where that is more than the class says.
        names: The things involved, for programs: `node`, `job`, `parameter`, `pid`, ...

    Attributes:
        hint: What a person at a command line is told besides; never on the wire.
    """

    wire_class: ClassVar[str] = "GenericError"
    code: ClassVar[str] = "refused"

    def __init__(self, description: str, *, code: str | None = None, **names: str | int) -> None:
        super().__init__(description)
        self.description = description
        self.hint = ""
        self._details: dict[str, str | int] = {"code": code or self.code, **names}

    @property
    def details(self) -> dict[str, str | int]:
        """The refusal as a program reads it: its `code` and the names involved."""
        return self._details

    def within(self, prefix: str) -> Self:
        """Return the same refusal with words before its own."""
        # Not `copy`: it makes an error anew of its text, where a subclass may want more.
        error = type(self).__new__(type(self), prefix + self.description)
        vars(error).update(vars(self))
        error.description = prefix + self.description
        return error


class CommandNotFound(QMPError):
    """Refuse a command that does not exist, or not in this mode."""

    wire_class = "CommandNotFound"
    code = "command-not-found"


class DeviceNotActive(QMPError):
    """Refuse an operation on a job or device that is not active."""

    wire_class = "DeviceNotActive"
    code = "not-active"


class DeviceNotFound(QMPError):
    """Refuse a name that no device, node or job answers to."""

    wire_class = "DeviceNotFound"
    code = "not-found"


class KVMMissingCap(QMPError):
    """Refuse what only a KVM capability would allow."""

    wire_class = "KVMMissingCap"
    code = "kvm-missing"


class ParameterError(QMPError):
    """Refuse an argument: missing, unexpected, or of the wrong type or value."""

    code = "invalid-argument"


class NodeInUse(QMPError):
    """Refuse an operation because a user of the node forbids it."""

    code = "in-use"


class CorruptImage(OSError):
    """Report that an image's own data contradicts its format.

    Args:
        node_name: The node whose image it is.
        offset: Host offset in bytes of the wrong structure.
        what: What is wrong, as a lower-case phrase.
    """

    def __init__(self, node_name: str, offset: int, what: str) -> None:
        super().__init__(errno.EIO, os.strerror(errno.EIO))
        self.node_name = node_name
        self.offset = offset
        self.what = what

    def __str__(self) -> str:
        return f"{self.what} at offset {self.offset:#x} of node '{self.node_name}'"


def error_text(error: OSError) -> str:
    """Say an errno as QEMU says it, without Python's prefix."""
    return os.strerror(error.errno) if error.errno else str(error)


def reason(error: OSError | QMPError) -> str:
    """Say what went wrong, on whichever lane it came."""
    return error_text(error) if isinstance(error, OSError) else error.description
