"""Say which state a job may go to from which, and which verbs each state accepts.

The tables are QEMU's: the JobStatus and JobVerb documentation gives the states and the verbs, and
trying every verb in every state gives the cells.
"""

import enum

from qmpserver.errors import QMPError


class JobStatus(enum.Enum):
    """Where a job is in its life; the values are the wire's."""

    UNDEFINED = "undefined"
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    READY = "ready"
    STANDBY = "standby"
    WAITING = "waiting"
    PENDING = "pending"
    ABORTING = "aborting"
    CONCLUDED = "concluded"
    NULL = "null"


class JobVerb(enum.Enum):
    """What a client may ask of a job; the values are the wire's."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    SET_SPEED = "set-speed"
    COMPLETE = "complete"
    DISMISS = "dismiss"
    FINALIZE = "finalize"
    CHANGE = "change"


_S = JobStatus

TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    _S.UNDEFINED: frozenset({_S.CREATED}),
    _S.CREATED: frozenset({_S.RUNNING, _S.ABORTING, _S.NULL}),
    _S.RUNNING: frozenset({_S.PAUSED, _S.READY, _S.WAITING, _S.ABORTING}),
    _S.PAUSED: frozenset({_S.RUNNING}),
    _S.READY: frozenset({_S.STANDBY, _S.WAITING, _S.ABORTING}),
    _S.STANDBY: frozenset({_S.READY}),
    _S.WAITING: frozenset({_S.PENDING, _S.ABORTING}),
    _S.PENDING: frozenset({_S.ABORTING, _S.CONCLUDED}),
    _S.ABORTING: frozenset({_S.ABORTING, _S.CONCLUDED}),
    _S.CONCLUDED: frozenset({_S.NULL}),
    _S.NULL: frozenset(),
}

_ALIVE = frozenset({_S.CREATED, _S.RUNNING, _S.PAUSED, _S.READY, _S.STANDBY})

VERBS: dict[JobVerb, frozenset[JobStatus]] = {
    JobVerb.CANCEL: _ALIVE | {_S.WAITING, _S.PENDING},
    JobVerb.PAUSE: _ALIVE,
    JobVerb.RESUME: _ALIVE,
    JobVerb.SET_SPEED: _ALIVE,
    JobVerb.COMPLETE: frozenset({_S.READY, _S.STANDBY}),
    JobVerb.FINALIZE: frozenset({_S.PENDING}),
    JobVerb.DISMISS: frozenset({_S.CONCLUDED}),
    JobVerb.CHANGE: _ALIVE,
}


def check_transition(old: JobStatus, new: JobStatus) -> None:
    """Refuse a step that no row allows.

    Raises:
        RuntimeError: The step is a programming error; nothing has changed.
    """
    if new not in TRANSITIONS[old]:
        raise RuntimeError(f"a job cannot go from {old.value} to {new.value}")


def check_verb(job_id: str, status: JobStatus, verb: JobVerb) -> None:
    """Refuse a verb that the state does not accept.

    Raises:
        QMPError: With QEMU's text.
    """
    if status not in VERBS[verb]:
        raise verb_refused(job_id, status, verb)


def verb_refused(job_id: str, status: JobStatus, verb: JobVerb) -> QMPError:
    """Make the refusal of a verb, in QEMU's words."""
    return QMPError(
        f"Job '{job_id}' in state '{status.value}' cannot accept command verb '{verb.value}'",
        code="wrong-state",
        job=job_id,
        status=status.value,
    )
