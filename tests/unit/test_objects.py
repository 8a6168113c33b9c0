"""User objects are created, refused and deleted with QEMU's texts, and secrets do not show."""

import base64
from pathlib import Path
from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.objects import ObjectStore, Secret


def secret(**members: Any) -> dict[str, Any]:
    return {"qom-type": "secret", "id": "s", **members}


def test_an_iothread_is_accepted_and_can_be_deleted() -> None:
    store = ObjectStore()
    store.add({"qom-type": "iothread", "id": "i"})
    assert store.get("i") is not None
    store.remove("i")
    assert store.get("i") is None


@pytest.mark.parametrize(
    ("members", "data"),
    [
        ({"data": "word"}, b"word"),
        ({"data": "w\u00f6rd"}, "w\u00f6rd".encode()),
        ({"data": base64.b64encode(b"\0\xff").decode(), "format": "base64"}, b"\0\xff"),
    ],
)
def test_a_secret_holds_what_was_meant(members: dict[str, Any], data: bytes) -> None:
    made = ObjectStore().add(secret(**members))
    assert isinstance(made, Secret)
    assert made.data == data
    assert "word" not in repr(made)
    assert "data" not in made.properties


def test_a_secret_can_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"from a file\n")
    made = ObjectStore().add(secret(file=str(path)))
    assert isinstance(made, Secret)
    assert made.data == b"from a file\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"qom-type": "iothread", "id": "1x"}, "Parameter 'id' expects an identifier"),
        (
            {"qom-type": "iothread", "id": "taken"},
            "attempt to add duplicate property 'taken' to object (type 'container')",
        ),
        (secret(data="a", file="b"), "'file' and 'data' are mutually exclusive"),
        (secret(), "Either 'file' or 'data' must be provided"),
        (secret(data="%%", format="base64"), "Base64 data contains invalid characters"),
        (secret(data="a", keyid="none"), "No secret with id 'none'"),
        (
            secret(data="a", keyid="taken"),
            "Secrets encrypted with another secret ('keyid') are not supported yet",
        ),
        (
            secret(file="/nonexistent"),
            "Unable to read /nonexistent: Failed to open file \u201c/nonexistent\u201d: No such file or directory",
        ),
    ],
)
def test_what_cannot_be_created_is_refused_by_name(options: dict[str, Any], text: str) -> None:
    store = ObjectStore()
    store.add({"qom-type": "iothread", "id": "taken"})
    with pytest.raises(QMPError) as caught:
        store.add(options)
    assert caught.value.description == text
    assert store.get("s") is None


def test_deleting_what_is_not_there_is_refused() -> None:
    with pytest.raises(QMPError, match="object 'none' not found"):
        ObjectStore().remove("none")
