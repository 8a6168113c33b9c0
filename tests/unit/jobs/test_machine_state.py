"""A record of a machine's state is known again, and nothing else is taken for one."""

from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.jobs import machine_state

RECORD = machine_state.pack({"machine": None})


@pytest.mark.parametrize("document", [{}, {"machine": None}, {"devices": [{"id": "ü"}]}])
def test_what_was_packed_is_parsed(document: dict[str, Any]) -> None:
    assert machine_state.parse(machine_state.pack(document) + bytes(700)) == document


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (b"", "another program"),
        (b"QEVM" + bytes(100), "another program"),
        (RECORD[:20], "another program"),
        (RECORD[:-1], "damaged"),
        (RECORD[:-1] + b"x", "damaged"),
        (RECORD[:19] + b"\2" + RECORD[20:], "version 2"),
    ],
)
def test_what_is_no_record_is_refused_by_name(record: bytes, text: str) -> None:
    with pytest.raises(QMPError, match=text):
        machine_state.parse(record)
