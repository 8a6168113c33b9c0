"""Names of images mean what they mean to QEMU, and a stored name leads back to the file."""

import asyncio
import posixpath
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpserver.block import filenames
from qmpserver.errors import QMPError
from tests.unit.block.memory_drivers import FILES

MakeEngine = Callable[[], Any]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain.qcow2", False),
        ("/abs:olute", False),
        ("dir/with:colon", False),
        ("file:x", True),
        ("json:{}", True),
        ("nbd+unix:///x", True),
        ("host_device:x", True),
        (":x", False),
        ("", False),
    ],
)
def test_a_protocol_is_told_from_a_path_with_a_colon(name: str, expected: bool) -> None:
    assert filenames.has_protocol(name) == expected


@pytest.mark.parametrize(
    ("overlay", "backing", "full"),
    [
        ("top", "base", "base"),
        ("dir/top", "base", "dir/base"),
        ("/dir/top", "../base", "/dir/../base"),
        ("/top", "base", "/base"),
        ("dir/top", "/base", "/base"),
        ("dir/top", "file:base", "file:base"),
        ("file:dir/top", "base", "file:dir/base"),
    ],
)
def test_a_relative_backing_name_is_meant_from_the_overlays_folder(
    overlay: str, backing: str, full: str
) -> None:
    assert filenames.full_backing_filename(overlay, backing) == full


@pytest.mark.parametrize(
    ("name", "driver", "options"),
    [
        ("a", None, {"file": {"driver": "file", "filename": "a"}}),
        ("a", "qcow2", {"driver": "qcow2", "file": {"driver": "file", "filename": "a"}}),
        ("file:a:b", "raw", {"driver": "raw", "file": {"driver": "file", "filename": "a:b"}}),
        ("null-co://", "raw", {"driver": "raw", "file": {"driver": "null-co"}}),
        (
            'json:{"driver": "raw", "file.filename": "a"}',
            "qcow2",
            {"driver": "raw", "file": {"driver": "file", "filename": "a"}},
        ),
        (
            'json:{"file": {"filename": "file:a"}}',
            "qcow2",
            {"driver": "qcow2", "file": {"driver": "file", "filename": "file:a"}},
        ),
    ],
)
def test_a_name_becomes_options(name: str, driver: str | None, options: dict[str, Any]) -> None:
    assert filenames.filename_options(name, driver) == options


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nonsense:x", "Unknown protocol 'nonsense'"),
        ("json:{", "Could not parse the JSON options"),
        ("json:[1]", "Invalid JSON object given"),
    ],
)
def test_a_name_that_means_nothing_is_refused(name: str, text: str) -> None:
    with pytest.raises(QMPError, match=text):
        filenames.filename_options(name, None)


@pytest.mark.parametrize("name", ['json:{"a": 1, "a.b": 2}', 'json:{"a.b": 1, "a": 2, "a.c": 3}'])
def test_dotted_keys_that_contradict_others_are_refused(name: str) -> None:
    with pytest.raises(QMPError):
        filenames.filename_options(name, None)


def test_a_plain_name_stands_where_it_says_all_and_json_where_not(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        FILES["b"] = FILES["other"] = bytearray(512)
        plain = await engine.add("plain", "p", **{"x-backing": "b"})
        assert filenames.filename_of(plain) == "p"
        overridden = await engine.add(
            "overridden",
            "o",
            backing={"driver": "raw", "file": {"driver": "file", "filename": "other"}},
            **{"x-backing": "b"},
        )
        assert filenames.filename_of(overridden) == (
            'json:{"backing": {"driver": "raw", "file": {"driver": "file", "filename": "other"}}, '
            '"driver": "raw", "file": {"driver": "file", "filename": "o"}}'
        )
        sized = await engine.add("sized", "s", size=4096)
        assert filenames.filename_of(sized) == (
            'json:{"driver": "raw", "size": 4096, "file": {"driver": "file", "filename": "s"}}'
        )

    asyncio.run(scenario())


_PATHS = st.lists(st.sampled_from(["a", "b", "..", "."]), max_size=4).map("/".join)


@given(folder=_PATHS, path=_PATHS, absolute=st.booleans())
def test_what_is_stored_leads_back_to_the_same_file(folder: str, path: str, absolute: bool) -> None:
    root = "/root/" if absolute else ""
    overlay, backing = f"{root}{folder}/top", f"{root}{path}/base"
    stored = filenames.relative_to_store(overlay, backing)
    found = filenames.full_backing_filename(overlay, stored)
    assert posixpath.abspath(found) == posixpath.abspath(backing)
