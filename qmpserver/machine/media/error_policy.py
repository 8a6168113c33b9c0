"""Decide what becomes of a device's request that failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from qmpserver.jobs.error_policy import ErrorAction, OnError, action_for


@dataclass(frozen=True, slots=True)
class ErrorPolicy:
    """What a device does when its requests fail.

    Attributes:
        rerror: When it is a read.
        werror: When it is anything else.
    """

    rerror: OnError = OnError.REPORT
    werror: OnError = OnError.ENOSPC

    def overridden(self, properties: Mapping[str, Any]) -> Self:
        """Return this policy with what a device's properties say in place; `auto` leaves it."""
        rerror = OnError(properties.get("rerror") or "auto")
        werror = OnError(properties.get("werror") or "auto")
        return type(self)(
            self.rerror if rerror is OnError.AUTO else rerror,
            self.werror if werror is OnError.AUTO else werror,
        )

    def action(self, error: OSError, *, is_read: bool) -> ErrorAction:
        """Return what is done about an error."""
        return action_for(self.rerror if is_read else self.werror, error)

    @property
    def may_stop(self) -> bool:
        """Whether some error stops the machine; QEMU shows the I/O status only then."""
        return self.werror in (OnError.ENOSPC, OnError.STOP) or self.rerror is OnError.STOP


REPORT_ALL = ErrorPolicy(OnError.REPORT, OnError.REPORT)
"""Of a drive whose medium was pulled out from under its device."""
