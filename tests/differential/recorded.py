"""Compare sessions with what QEMU 11.1 was recorded to say in them, where an older QEMU may be all there is.

With QMPSERVER_RECORD=1 the storage daemon in use is recorded anew, and has to be of that version.
"""

import difflib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import Daemon, Step, _Names, play
from tests.peers import need

VERSION = 11
_AUTO = re.compile(r"#block\d+")


PROGRESS = frozenset(("len", "offset", "current-progress", "total-progress"))
"""What depends on when a job is looked at."""

DRAINS = "drains"
"""To be ignored: QEMU's jobs pause and go on while a node is drained; ours do not show it."""

Ignored = frozenset[str]


def compare(
    recording: Path,
    name: str,
    steps: Iterable[Step],
    images: Path,
    ours: Daemon,
    *,
    ignoring: Ignored = frozenset(),
) -> None:
    """Play the steps on our daemon, whose folder the images are put in, and compare with the recorded story.

    The daemon can be used again: all nodes are taken away afterwards, and none may be left.
    """
    steps = list(steps)
    stories = json.loads(recording.read_text()) if recording.exists() else {}
    if os.environ.get("QMPSERVER_RECORD") == "1":
        stories[name] = _peers_story(steps, images, ours.folder.parent / "theirs", ignoring)
        recording.write_text(json.dumps(stories, indent=1, sort_keys=True) + "\n")
    for left in ours.folder.iterdir():
        if left.is_file():
            left.unlink()
    shutil.copytree(images, ours.folder, dirs_exist_ok=True)
    ours.take_events()
    story = _shaped(steps, play(ours, steps), ignoring)
    _take_nodes_away(ours)
    _assert_alike(story, stories[name])


def _take_nodes_away(daemon: Daemon) -> None:
    for job in daemon.execute("query-jobs")["return"]:
        pytest.fail(f"a job is left: {job}")
    while nodes := daemon.execute("query-named-block-nodes", {"flat": True})["return"]:
        names = [node["node-name"] for node in nodes]
        if not any("return" in daemon.execute("blockdev-del", {"node-name": name}) for name in names):
            pytest.fail(f"nodes are left: {names}")


def check_recording(
    recording: Path,
    name: str,
    steps: Iterable[Step],
    images: Path,
    tmp_path: Path,
    *,
    ignoring: Ignored = frozenset(),
) -> None:
    """See whether the recorded story is QEMU's, if the storage daemon in use is of that version."""
    story = _peers_story(list(steps), images, tmp_path / "theirs", ignoring)
    _assert_alike(story, json.loads(recording.read_text())[name])


def compare_answers(recording: Path, told: Mapping[str, Any]) -> None:
    """Hold what our daemon has told, by name, against the recording."""
    recorded = json.loads(recording.read_text())
    for name, answers in told.items():
        assert answers == recorded[name], name
    assert set(told) == set(recorded)


def check_answers(recording: Path, play: Callable[[str], Mapping[str, Any]]) -> None:
    """See whether what is recorded is told by the storage daemon in use, if that is of the version.

    Args:
        recording: The file.
        play: Asks the daemon whose program is given, and returns what it told, by name.
    """
    told = play(_peer())
    if os.environ.get("QMPSERVER_RECORD") == "1":
        recording.write_text(json.dumps(told, indent=1) + "\n")
    assert told == json.loads(recording.read_text())


def _peer() -> str:
    peer = need("qemu-storage-daemon")
    version = subprocess.run([peer, "--version"], capture_output=True, text=True, check=True).stdout
    if f"version {VERSION}." not in version:
        pytest.skip(f"compares with QEMU {VERSION}, and this one is older")
    return peer


def _peers_story(steps: list[Step], images: Path, folder: Path, ignoring: Ignored) -> list[Any]:
    peer = _peer()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(images, folder)
    with Daemon([peer], folder) as daemon:
        return _shaped(steps, play(daemon, steps), ignoring)


def _shaped(steps: list[Step], story: list[Any], ignoring: Ignored) -> list[Any]:
    names, ignored = _Names(), ignoring | {"busy"}
    if DRAINS in ignoring:
        story = [[name, reply, without_drains(events)] for name, reply, events in story]
    return [
        [item.execute, *names.plain(_shape(part[1:], ignored))]
        for item, part in zip(steps, story, strict=True)
    ]


def without_drains(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out where a job has paused and goes on within one step."""
    kept: list[dict[str, Any]] = []
    for event in events:
        data = event.get("data", {})
        pause = {**event, "data": {**data, "status": "paused"}}
        if data.get("status") == "running" and pause in kept:
            kept.remove(pause)
        else:
            kept.append(event)
    return kept


def _assert_alike(mine: list[Any], recorded: list[Any]) -> None:
    for ours, theirs in zip(mine, recorded, strict=True):
        told = [json.dumps(story, indent=1, sort_keys=True).splitlines() for story in (ours, theirs)]
        if told[0] != told[1]:
            pytest.fail("\n".join([f"{ours[0]}: - ours, + QEMU's", *difflib.ndiff(told[0], told[1])]))


def _shape(part: Any, ignored: Ignored) -> Any:
    """Keep of an answer what is worth comparing, and put graphs and nodes in an order of their own."""
    match part:
        case {"nodes": nodes, "edges": edges}:
            names = {node["id"]: _AUTO.sub("#", f"{node['type']} {node['name']}") for node in nodes}
            return sorted(
                f"{names[edge['parent']]} -{edge['name']}-> {names[edge['child']]}: "
                f"{sorted(edge['perm'])} {sorted(edge['shared-perm'])}"
                for edge in edges
            )
        case {"node-name": name, "drv": driver, "file": file, "ro": read_only, "image": image}:
            children = [f"{child['child']}={child['node-name']}" for child in part["children"]]
            return {
                "node": f"{name} {driver} {'ro' if read_only else 'rw'} {children}",
                "file": file,
                "backing": [part.get("backing_file"), image.get("backing-filename")],
                "bitmaps": part.get("dirty-bitmaps", []),
            }
        case dict():
            return {key: _shape(value, ignored) for key, value in part.items() if key not in ignored}
        case list():
            return [_shape(value, ignored) for value in part]
        case _:
            return part
