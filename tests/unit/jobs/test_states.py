"""The state and verb tables are QEMU's, and a cause with no row changes nothing."""

import pytest

from qmpserver.errors import QMPError
from qmpserver.jobs.states import TRANSITIONS, VERBS, JobStatus, JobVerb, check_transition, check_verb

# Rows: from; columns: to, in the order of JobStatus.  Found by driving real jobs through every state.
TRANSITION_TABLE = """
undefined  . x . . . . . . . . .
created    . . x . . . . . x . x
running    . . . x x . x . x . .
paused     . . x . . . . . . . .
ready      . . . . . x x . x . .
standby    . . . . x . . . . . .
waiting    . . . . . . . x x . .
pending    . . . . . . . . x x .
aborting   . . . . . . . . x x .
concluded  . . . . . . . . . . x
null       . . . . . . . . . . .
"""

VERB_TABLE = """
cancel     . x x x x x x x . . .
pause      . x x x x x . . . . .
resume     . x x x x x . . . . .
set-speed  . x x x x x . . . . .
complete   . . . . x x . . . . .
finalize   . . . . . . . x . . .
dismiss    . . . . . . . . . x .
change     . x x x x x . . . . .
"""


def cells(table: str) -> list[tuple[str, JobStatus, bool]]:
    return [
        (row, status, mark == "x")
        for row, *marks in (line.split() for line in table.strip().splitlines())
        for status, mark in zip(JobStatus, marks, strict=True)
    ]


def test_every_state_and_verb_has_a_row() -> None:
    assert set(TRANSITIONS) == set(JobStatus)
    assert set(VERBS) == set(JobVerb)


@pytest.mark.parametrize(("old", "new", "allowed"), cells(TRANSITION_TABLE))
def test_a_transition_is_allowed_exactly_where_the_table_says(
    old: str, new: JobStatus, allowed: bool
) -> None:
    if allowed:
        check_transition(JobStatus(old), new)
    else:
        with pytest.raises(RuntimeError, match=f"from {old} to {new.value}"):
            check_transition(JobStatus(old), new)


@pytest.mark.parametrize(("verb", "status", "allowed"), cells(VERB_TABLE))
def test_a_verb_is_accepted_exactly_where_the_table_says(verb: str, status: JobStatus, allowed: bool) -> None:
    if allowed:
        check_verb("j", status, JobVerb(verb))
    else:
        with pytest.raises(QMPError) as caught:
            check_verb("j", status, JobVerb(verb))
        assert caught.value.description == (
            f"Job 'j' in state '{status.value}' cannot accept command verb '{verb}'"
        )
