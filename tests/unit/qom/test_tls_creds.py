"""TLS credentials: which files they need, and what they refuse."""

import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.objects import ObjectStore
from tests.certificates import make_certificates


def add(store: ObjectStore, kind: str, **properties: Any) -> None:
    named = {name.replace("_", "-"): value for name, value in properties.items()}
    store.add({"qom-type": f"tls-creds-{kind}", "id": "t", **named})


def refusal(kind: str, **properties: Any) -> str:
    with pytest.raises(QMPError) as refused:
        add(ObjectStore(), kind, **properties)
    return refused.value.description


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    assert refusal("x509") == "Missing 'dir' property value"
    assert refusal("psk") == "Missing 'dir' property value"
    missing = f"Unable to access credentials {tmp_path}/ca-cert.pem: No such file or directory"
    assert refusal("x509", dir=str(tmp_path), endpoint="server") == missing
    make_certificates(tmp_path)
    (tmp_path / "server-key.pem").unlink()
    missing = f"Unable to access credentials {tmp_path}/server-key.pem: No such file or directory"
    assert refusal("x509", dir=str(tmp_path), endpoint="server") == missing
    wrong = "username should not be set when endpoint=server"
    assert refusal("psk", dir=str(tmp_path), endpoint="server", username="me") == wrong


def test_files_that_are_no_certificates_are_refused(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    (tmp_path / "server-cert.pem").write_text("nonsense")
    assert refusal("x509", dir=str(tmp_path), endpoint="server").startswith(
        f"Unable to use the credentials in {tmp_path}:"
    )


@pytest.mark.parametrize("endpoint", ["server", "client"])
def test_certificates_make_a_context_that_asks_for_the_others(tmp_path: Path, endpoint: str) -> None:
    store = ObjectStore()
    add(store, "x509", dir=str(make_certificates(tmp_path)), endpoint=endpoint)
    context = store.credentials("t", is_server=endpoint == "server").context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1


def test_a_key_is_decrypted_by_a_secret(tmp_path: Path) -> None:
    folder = str(make_certificates(tmp_path, password=b"letmein"))
    store = ObjectStore()
    store.add({"qom-type": "secret", "id": "wrong", "data": "x"})
    with pytest.raises(QMPError):
        add(store, "x509", dir=folder, endpoint="server", passwordid="wrong")
    store.add({"qom-type": "secret", "id": "right", "data": "letmein"})
    add(store, "x509", dir=folder, endpoint="server", passwordid="right", verify_peer=False)
    assert store.credentials("t", is_server=True).context().verify_mode is ssl.CERT_NONE


def test_credentials_are_found_for_their_side_only(tmp_path: Path) -> None:
    store = ObjectStore()
    store.add({"qom-type": "iothread", "id": "i"})
    add(store, "x509", dir=str(make_certificates(tmp_path)), endpoint="client")
    for object_id, text in (
        ("nope", "No TLS credentials with id 'nope'"),
        ("i", "Object with id 'i' is not TLS credentials"),
        ("t", "Expecting TLS credentials with a server endpoint"),
    ):
        with pytest.raises(QMPError, match=text):
            store.credentials(object_id, is_server=True)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="this Python's TLS knows pre-shared keys")
def test_pre_shared_keys_are_refused_where_tls_does_not_know_them(tmp_path: Path) -> None:
    (tmp_path / "keys.psk").write_text("qemu:00112233\n")
    store = ObjectStore()
    add(store, "psk", dir=str(tmp_path), endpoint="server")
    with pytest.raises(QMPError, match=r"needs Python 3\.13"):
        store.credentials("t", is_server=True).context()
