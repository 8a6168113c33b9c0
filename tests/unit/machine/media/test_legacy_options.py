"""The options of ``-drive`` are understood, and refused in QEMU's words."""

import re
from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.jobs.error_policy import OnError
from qmpserver.machine.media.legacy_options import drive_options
from qmpserver.machine.media.placement import Place, name_of, place_of
from qmpserver.throttling.limits import Rate


def given(text: str) -> dict[str, str]:
    return {name: value for name, _, value in (part.partition("=") for part in text.split(",") if part)}


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("if=bogus", "unsupported bus type 'bogus'"),
        ("media=bogus", "'bogus' invalid media"),
        ("cache=bogus", "invalid cache option"),
        ("aio=bogus", "invalid aio option"),
        ("discard=bogus", "Invalid discard option"),
        ("detect-zeroes=bogus", "invalid parameter value: bogus"),
        ("readonly=maybe", "Parameter 'read-only' expects 'on' or 'off'"),
        ("rerror=enospc", "'enospc' invalid read error action"),
        ("werror=auto", "'auto' invalid write error action"),
        ("if=floppy,werror=stop", "werror is not supported by this bus type"),
        ("index=1,bus=1", "index cannot be used with bus and unit"),
        ("index=x", "Parameter 'index' expects a number"),
        ("index=1_0", "Parameter 'index' expects a number"),
        ("format=raw,driver=raw", "Cannot specify both 'driver' and 'format'"),
        (
            "throttling.bps-total=5,bps=6",
            "'throttling.bps-total' and its alias 'bps' can't be used at the same time",
        ),
        ("bps=1k", "Parameter 'throttling.bps-total' expects a number"),
        ("bps=6,bps_max=3", "bps_max/iops_max cannot be lower than bps/iops"),
        ("stats-intervals.0=0", "Invalid interval length: 0"),
        (f"stats-intervals.0={'9' * 5000}", f"Invalid interval length: {'9' * 5000}"),
        ("cache.direct=x", "Parameter 'cache.direct' expects 'on' or 'off'"),
    ],
)
def test_what_is_no_good_is_refused(text: str, refusal: str) -> None:
    with pytest.raises(QMPError, match=f"^{re.escape(refusal)}$"):
        drive_options(given(text))


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("", {"drive_id": None, "interface": None, "read_only": False, "write_cache": True}),
        ("media=cdrom", {"is_cdrom": True, "read_only": True}),
        ("copy-on-read=on,readonly=on", {"copy_on_read": False}),
        ("cache=none", {"write_cache": True, "direct": True, "no_flush": False}),
        ("cache=unsafe,cache.direct=on", {"direct": True, "no_flush": True}),
        ("cache=writethrough", {"write_cache": False, "direct": False}),
        ("discard=on", {"discard": "unmap"}),
        ("index=0x2", {"index": 2}),
        ("index=010", {"index": 8}),
        ("unit=-1,index=-1", {"unit": None, "index": None}),
        ("driver=qcow2,backing.driver=raw", {"image_format": "qcow2", "node": {"backing.driver": "raw"}}),
        ("stats-intervals.0=10,stats-intervals.1=60", {"intervals_s": (10, 60), "node": {}}),
    ],
)
def test_what_is_said_is_understood(text: str, members: dict[str, Any]) -> None:
    options = drive_options(given(text))
    assert {name: getattr(options, name) for name in members} == members


def test_errors_and_limits_are_understood() -> None:
    options = drive_options(given("rerror=stop,werror=ignore,iops=5,iops_max=9,iops_size=512,group=g"))
    assert (options.policy.rerror, options.policy.werror) == (OnError.STOP, OnError.IGNORE)
    assert (options.limits.iops_total, options.limits.iops_size) == (Rate(5, 9), 512)
    assert options.throttle_group == "g"


def place(text: str, *taken: Place, **units: int) -> Place:
    return place_of(drive_options(given(text)), taken, "ide", {"ide": 2, "scsi": 7} | units)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "ide0-hd0"),
        ("media=cdrom,index=2", "ide1-cd0"),
        ("bus=1,unit=1", "ide1-hd1"),
        ("if=scsi,index=9", "scsi1-hd2"),
        ("if=virtio,index=3", "virtio3"),
        ("if=floppy", "floppy0"),
        ("if=none", "none0"),
        ("if=sd", "sd0"),
    ],
)
def test_a_drive_is_called_after_its_place(text: str, name: str) -> None:
    assert name_of(place(text)) == name


def test_the_first_free_place_is_taken() -> None:
    taken = [Place("ide", 0, 0), Place("virtio", 0, 1), Place("ide", 1, 0)]
    assert place("", *taken) == Place("ide", 0, 1)
    assert place("", *taken, Place("ide", 0, 1)) == Place("ide", 1, 1)
    assert place("if=virtio", *taken) == Place("virtio", 0, 0)


def test_a_board_with_one_unit_a_bus_counts_otherwise() -> None:
    assert place("index=2,media=cdrom", ide=1) == Place("ide", 2, 0, is_cdrom=True)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("index=0", r"^drive with bus=0, unit=0 \(index=0\) exists$"),
        ("unit=2", r"^unit 2 too big \(max is 1\)$"),
        ("if=scsi,unit=9", r"^unit 9 too big \(max is 6\)$"),
    ],
)
def test_a_place_that_there_is_not_is_refused(text: str, refusal: str) -> None:
    with pytest.raises(QMPError, match=refusal):
        place(text, Place("ide", 0, 0))
