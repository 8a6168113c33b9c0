"""Libvirt does on our machine what it does on QEMU's, and says the same of it.

What libvirt 9.0 says of QEMU 7.2 is recorded; with QMPSERVER_RECORD=1 it is recorded anew.
"""

import json
import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from tests.libvirt.domains import ENCRYPTED, domain_xml, make_disks, make_encrypted
from tests.libvirt.libvirtd import Libvirt, plain
from tests.libvirt.sessions import GONE, LISTEN, RESTART, RUN, SESSIONS, TOLD, WAIT, Session
from tests.peers import PATIENCE_S, need

RECORDING = Path(__file__).with_name("recorded_virsh.json")
MASKS = (
    (r"(_times|\.times|_time)([ =]+)\d+", r"\1\2N"),
    (r"(allocation=|physical=|Allocation: +|Physical: +)\d+", r"\1N"),
    (r"(rd[._]req[s]?|rd[._]bytes)([ =])\d+", r"\1\2N"),
    (r"libvirt-\d+\"", 'libvirt-N"'),
    (r"(CPU time: +)[\d.]+", r"\1N"),
    (r"snapshot \d+ created", "snapshot N created"),
    (r"(rss |last_update |CPU: +|<creationTime>)\d+", r"\1N"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+\d{4}", "DATE"),
    (r"-{20,}", "--"),
    (r"[\d.]+ sec \(.*\)", "N sec"),
    (r"(Time elapsed: +)\d+ +ms", r"\1N ms"),
    (r"(CPU Affinity: +)[y-]+", r"\1N"),
    (r"(?m)^( [a-z]+ +\d+ +)\d+ +\d+$", r"\1N"),
)


def play(libvirt: Libvirt, emulator: str | Path, session: Session, folder: Path) -> list[list[object]]:
    """Run a domain through a session; return each line with what came of it."""
    make_disks(folder)
    if session.is_encrypted:
        make_encrypted(folder)
    for name, text in session.files.items():
        (folder / name).write_text(text.replace("DIR", str(folder)))
    more = session.more_xml.replace("DIR", str(folder))
    described = domain_xml(emulator, folder, session.machine, has_raw=session.has_raw, more=more)
    (folder / "x.xml").write_text(described)
    lines = ("define DIR/x.xml", "start x --paused", *session.lines, "destroy x", "undefine x --managed-save")
    try:
        return [[line, *_said(libvirt, line, folder)] for line in lines]
    finally:
        libvirt.virsh("destroy", "x")
        libvirt.virsh("undefine", "x", "--managed-save", "--snapshots-metadata", "--checkpoints-metadata")


def _said(libvirt: Libvirt, line: str, folder: Path) -> tuple[int, str]:
    if line == RESTART:
        libvirt.stop()
        libvirt.start()
        return 0, ""
    if line == WAIT:
        return _wait_for_job(libvirt)
    if line == LISTEN:
        libvirt.listen(folder / "events", folder / "x.xml")
        return 0, ""
    if line.startswith(TOLD):
        told = libvirt.told(int(line.removeprefix(TOLD)))
        return 0, plain("\n".join(told).replace(str(folder), "DIR"), MASKS)
    if line.startswith(GONE):
        return _wait_until_gone(libvirt, line.removeprefix(GONE))
    line = line.replace("DIR", str(folder))
    if line.startswith(RUN):
        answer = libvirt.run(*shlex.split(line.removeprefix(RUN)))
    else:
        answer = libvirt.virsh(*(line.split() if "{" in line else shlex.split(line)))
    return answer.status, plain(answer.text.replace(str(folder), "DIR"), MASKS)


def _wait_for_job(libvirt: Libvirt) -> tuple[int, str]:
    deadline = time.monotonic() + PATIENCE_S
    while "None" not in libvirt.virsh("domjobinfo", "x").text:
        assert time.monotonic() < deadline, "the job does not end"
        time.sleep(0.05)
    answer = libvirt.virsh("domjobinfo", "x", "--completed")
    # How much was copied is known only of a job that libvirt could ask about before it ended.
    kept = [line for line in answer.text.splitlines() if line.startswith(("Job type:", "Operation:"))]
    return answer.status, plain("\n".join(kept), MASKS)


def _wait_until_gone(libvirt: Libvirt, disk: str) -> tuple[int, str]:
    deadline = time.monotonic() + PATIENCE_S
    while disk in libvirt.virsh("domblklist", "x").text:
        assert time.monotonic() < deadline, f"{disk} does not go"
        time.sleep(0.05)
    return 0, ""


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_goes_as_with_qemu(name: str, libvirt: Libvirt, emulator: Path, tmp_path: Path) -> None:
    session = SESSIONS[name]
    stories = json.loads(RECORDING.read_text()) if RECORDING.exists() else {}
    if os.environ.get("QMPSERVER_RECORD") == "1":
        stories[name] = play(libvirt, need("qemu-system-x86_64"), session, tmp_path / "theirs")
        RECORDING.write_text(json.dumps(stories, indent=1) + "\n")
        check_disks(session, tmp_path / "theirs")
    if session.unplug_delay_ms:
        emulator = _with_delay(emulator, session.unplug_delay_ms, tmp_path)
    assert play(libvirt, emulator, session, tmp_path / "ours") == stories[name]
    check_disks(session, tmp_path / "ours")


def _with_delay(emulator: Path, delay_ms: int, folder: Path) -> Path:
    program = folder / emulator.name
    program.write_text(f'#!/bin/sh\nexec {emulator} "$@" -machine x-unplug-delay-ms={delay_ms}\n')
    program.chmod(0o755)
    return program


def check_disks(session: Session, folder: Path) -> None:
    """See that every image is sound, and that disks hold what they should."""
    for image in folder.glob("*.qcow2"):
        if image.name == ENCRYPTED:
            continue
        checked = subprocess.run([need("qemu-img"), "check", "-q", image], check=False)
        assert checked.returncode == 0, image.name
    for image_name, disk in session.disks:
        kind = image_name.rsplit(".")[-1]
        compared = subprocess.run(
            [need("qemu-img"), "compare", "-f", kind, folder / image_name, folder / f"{disk}.as-made"],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert compared.returncode == 0, f"{image_name}: {compared.stdout}"
