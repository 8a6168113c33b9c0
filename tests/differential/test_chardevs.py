"""Chardevs that are made and read by command, beside real QEMU."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import Step, duel, step


def add(label: str, kind: str, **data: Any) -> Step:
    return step("chardev-add", id=label, backend={"type": kind, "data": data})


def change(label: str, kind: str, **data: Any) -> Step:
    return step("chardev-change", id=label, backend={"type": kind, "data": data})


def unix(path: str) -> dict[str, Any]:
    return {"type": "unix", "data": {"path": path}}


ADDED = [
    add("r", "ringbuf", size=64),
    add("r", "null"),
    add("r2", "ringbuf", size=65),
    add("r3", "ringbuf"),
    add("m", "memory"),
    add("n", "null"),
    add("0bad", "null"),
    add("s", "socket", addr=unix("s.sock"), wait=False),
    add("s3", "socket", addr=unix("s3.sock"), server=True, wait=False),
    add("s4", "socket", addr=unix("nope.sock"), server=False),
    add("s5", "socket", addr=unix("nope.sock"), server=False, wait=True),
    add("f", "file", out="out.txt"),
    add("f2", "file", out="/nonexistent/out.txt"),
    add("f3", "file", out="out.txt", **{"in": "nope"}),
    add("pi", "pipe", device="nopipe"),
    add("sp", "pipe"),
    add("bad", "bogus"),
]

USED = [
    step("ringbuf-write", device="r", data="hello"),
    step("ringbuf-write", device="r", data="d29ybGQ=", format="base64"),
    step("ringbuf-write", device="r", data="!!", format="base64"),
    step("ringbuf-write", device="n", data="x"),
    step("ringbuf-write", device="zz", data="x"),
    step("ringbuf-read", device="r", size=3),
    step("ringbuf-read", device="r", size=3, format="base64"),
    step("ringbuf-read", device="r", size=0),
    step("ringbuf-read", device="r", size=1000),
    step("ringbuf-read", device="r", size=1000),
    step("ringbuf-read", device="n", size=1000),
    step("ringbuf-read", device="zz", size=1000),
    step("ringbuf-write", device="r", data="a" * 100 + "b"),
    step("ringbuf-read", device="r", size=1000),
    step("chardev-send-break", id="n"),
    step("chardev-send-break", id="zz"),
]

CHANGED = [
    step("chardev-remove", id="zz"),
    step("chardev-remove", id="c"),
    step("chardev-remove", id="r"),
    step("chardev-remove", id="r"),
    change("zz", "null"),
    change("c", "null"),
    change("n", "ringbuf"),
    step("ringbuf-write", device="n", data="x"),
    step("ringbuf-read", device="n", size=1),
    step("chardev-remove", id="s"),
    step("query-chardev"),
    # QEMU forgets the old chardev when this fails; here it stays.
    change("s3", "file", out="/nonexistent/file"),
]


def by_label(part: Any) -> Any:
    """Bring the chardevs, which QEMU lists as its hash table has them, in an order."""
    if isinstance(part, dict) and isinstance(part.get("return"), list):
        return {"return": sorted(part["return"], key=lambda chardev: str(chardev["label"]))}
    return part


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def test_chardevs_are_made_used_and_removed_as_qemu_does_it(tmp_path: Path, images: Path) -> None:
    outcome = duel(tmp_path, images, [*ADDED, step("query-chardev"), *USED, *CHANGED])
    outcome.assert_alike(by_label)
    assert sorted(os.listdir(outcome.our_folder)) == ["out.txt"]


def test_the_backends_are_among_qemus(tmp_path: Path, images: Path) -> None:
    outcome = duel(tmp_path, images, [step("query-chardev-backends")])
    ours, theirs = (
        {kind["name"] for kind in story[0][1]["return"]} for story in (outcome.ours, outcome.theirs)
    )
    assert ours <= theirs
    assert theirs - ours <= {"hub", "mux", "parallel", "serial", "udp"}
