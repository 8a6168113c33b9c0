"""Decide what a job does when its I/O fails."""

import enum
import errno


class OnError(enum.Enum):
    """The policy a client chose; the values are the wire's (BlockdevOnError)."""

    REPORT = "report"
    IGNORE = "ignore"
    ENOSPC = "enospc"
    STOP = "stop"
    AUTO = "auto"


class ErrorAction(enum.Enum):
    """What is done about one error; the values are the wire's (BlockErrorAction)."""

    REPORT = "report"
    """The job ends and fails."""
    IGNORE = "ignore"
    """The job goes on, and fails at its end."""
    STOP = "stop"
    """The job pauses until a client resumes it, and then tries again."""


_ACTIONS = {
    OnError.REPORT: ErrorAction.REPORT,
    OnError.IGNORE: ErrorAction.IGNORE,
    OnError.STOP: ErrorAction.STOP,
}


def action_for(policy: OnError, error: OSError) -> ErrorAction:
    """Return what `policy` means for `error`: `enospc` and `auto` stop for lack of space only."""
    action = _ACTIONS.get(policy)
    if action is not None:
        return action
    return ErrorAction.STOP if error.errno == errno.ENOSPC else ErrorAction.REPORT
