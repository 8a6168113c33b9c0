"""User objects are created, refused and deleted with QEMU's texts, and secrets do not show."""

import base64
from pathlib import Path
from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.objects import ObjectStore
from qmpserver.qom.secret import Secret

KEY = base64.b64encode(bytes(range(32))).decode()
IV = base64.b64encode(bytes(16)).decode()


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
        ({"data": "AP8", "format": "base64"}, b"\0\xff"),
        ({"data": "", "format": "base64"}, b""),
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
        (secret(data="a", keyid="taken"), "Object with id 'taken' is not a secret"),
        (secret(data="a", keyid="short"), "Key should be 32 bytes in length"),
        (secret(data="a", keyid="key"), "IV is required to decrypt secret"),
        (secret(data="a", keyid="key", iv="!"), "Base64 data contains invalid characters"),
        (secret(data="a", keyid="key", iv="AAAA"), "IV should be 16 bytes in length not 3"),
        (secret(data="a", keyid="key", iv=IV), "Length 1 must be a multiple of block size 16"),
        (
            secret(data=base64.b64encode(bytes(range(16))).decode(), format="base64", keyid="key", iv=IV),
            "Incorrect number of padding bytes (50) found on decrypted data",
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
    store.add({"qom-type": "secret", "id": "short", "data": "abc"})
    store.add({"qom-type": "secret", "id": "key", "data": KEY, "format": "base64"})
    with pytest.raises(QMPError) as caught:
        store.add(options)
    assert caught.value.description == text
    assert store.get("s") is None


def test_deleting_what_is_not_there_is_refused() -> None:
    with pytest.raises(QMPError, match="object 'none' not found"):
        ObjectStore().remove("none")
