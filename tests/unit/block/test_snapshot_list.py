"""The table of an image's snapshots, as QEMU 11.1 prints it."""

from typing import Any

from qmpserver.block.snapshot_list import snapshot_row

MEMBERS: dict[str, Any] = {
    "id": "1",
    "name": "first",
    "vm-state-size": 0,
    "date-sec": 0,
    "vm-clock-sec": 3723,
    "vm-clock-nsec": 45_000_000,
}


def test_a_count_of_instructions_stands_at_the_end_or_two_dashes() -> None:
    assert snapshot_row(MEMBERS).endswith(" 0001:02:03.045         --")
    assert snapshot_row({**MEMBERS, "icount": 0}).endswith(" 0001:02:03.045          0")
