import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from qmpserver.shell.client import CommandFailed, NotConnected
from qmpserver.shell.live_names import LiveNames

ANSWERS = {
    "query-named-block-nodes": [
        {"node-name": "n", "dirty-bitmaps": [{"name": "b"}, {"count": 0}]},
        {"node-name": "m", "dirty-bitmaps": [{"name": "c"}]},
        {"drv": "raw"},
    ],
    "query-block": [{"device": "ide0"}, {"device": ""}],
    "query-jobs": [{"id": "j"}],
    "qom-list": [{"name": "o", "type": "child<secret>"}, {"name": "type", "type": "string"}],
    "query-block-exports": [{"id": "e"}],
    "query-chardev": [{"label": "c"}],
}


def names(
    kind: str, failing: Sequence[str] = (), error: type[Exception] = CommandFailed, **beside: Any
) -> list[str]:
    async def execute(command: str, **arguments: Any) -> Any:
        if command in failing:
            raise error
        return ANSWERS[command]

    return list(asyncio.run(LiveNames(execute).of(kind, beside, "")))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("node", ["ide0", "m", "n"]),
        ("job", ["j"]),
        ("object", ["o"]),
        ("bitmap", ["b", "c"]),
        ("export", ["e"]),
        ("chardev", ["c"]),
        ("new-node", []),
    ],
)
def test_the_server_tells_what_lives_in_it(kind: str, expected: list[str]) -> None:
    assert names(kind) == expected


def test_bitmaps_are_those_of_the_node_beside() -> None:
    assert names("bitmap", node="m") == ["c"]
    assert names("bitmap", device="n") == ["b"]
    assert names("bitmap", node=["odd"]) == []


def test_a_server_that_does_not_tell_makes_no_trouble() -> None:
    assert names("node", ["query-block"]) == ["m", "n"]
    assert names("job", ["query-jobs"]) == []
    assert names("job", ["query-jobs"], NotConnected) == []


def test_files_are_those_of_this_machine(tmp_path: Path) -> None:
    async def execute(command: str, **arguments: Any) -> Any:
        raise AssertionError

    (tmp_path / "disk.raw").touch()
    (tmp_path / "disks").mkdir()
    (tmp_path / ".hidden").touch()
    live = LiveNames(execute)
    for partial, found in (
        ("", ["disk.raw", "disks/"]),
        ("di", ["disk.raw", "disks/"]),
        (".h", [".hidden"]),
        ("x/", []),
    ):
        names = asyncio.run(live.of("file", {}, f"{tmp_path}/{partial}"))
        assert names == [f"{tmp_path}/{name}" for name in found]
