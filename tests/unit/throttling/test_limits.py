"""Limits are refused with QEMU's texts where they make no sense, and shown as QEMU shows them."""

import pytest

from qmpserver.errors import QMPError
from qmpserver.throttling.limits import MAX_RATE, MEMBERS, ThrottleLimits

TWOFOLD = "bps/iops/max total values and read/write values cannot be used at the same time"
OUT_OF_RANGE = "bps/iops/max values must be within [0, 1000000000000000]"


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"bps-total": 100, "bps-read": 5}, TWOFOLD),
        ({"iops-total": 100, "iops-write": 5}, TWOFOLD),
        ({"bps-total": 9, "bps-total-max": 10, "bps-read-max": 10}, TWOFOLD),
        ({"bps-read": 5, "bps-total-max": 7}, "bps_max/iops_max require corresponding bps/iops values"),
        ({"bps-total-max": 100}, "bps_max/iops_max require corresponding bps/iops values"),
        ({"bps-total": 100, "bps-total-max": 50}, "bps_max/iops_max cannot be lower than bps/iops"),
        ({"bps-total": 100, "bps-total-max-length": 50}, "burst length set without burst rate"),
        ({"bps-total": 1, "bps-total-max": 5, "bps-total-max-length": 0}, "the burst length cannot be 0"),
        ({"bps-total": -1}, OUT_OF_RANGE),
        ({"bps-total": 1, "bps-total-max": -2}, OUT_OF_RANGE),
        ({"bps-total": MAX_RATE + 1}, OUT_OF_RANGE),
        (
            {"bps-total": MAX_RATE, "bps-total-max": MAX_RATE, "bps-total-max-length": 2},
            "burst length too high for this burst rate",
        ),
        (
            {"bps-total": 1, "bps-total-max": 2, "bps-total-max-length": -1},
            "burst length too high for this burst rate",
        ),
        ({"iops-size": 100}, "iops size requires an iops value to be set"),
        ({"bps-total": 1, "iops-size": -2}, "iops size requires an iops value to be set"),
    ],
)
def test_limits_without_sense_are_refused(members: dict[str, int], text: str) -> None:
    with pytest.raises(QMPError) as caught:
        ThrottleLimits().changed(members).check()
    assert caught.value.description == text


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"iops-total": 5, "iops-size": 100},
        {"bps-total": 100, "bps-total-max": 500, "bps-total-max-length": 4},
        {"bps-read": 1, "bps-write": 2, "iops-total": 3},
        {"bps-total": MAX_RATE},
    ],
)
def test_what_was_said_is_shown_and_the_rest_has_its_default(members: dict[str, int]) -> None:
    limits = ThrottleLimits().changed(members)
    limits.check()
    default = {name: int(name.endswith("-length")) for name in MEMBERS}
    assert limits.to_wire() == default | members
