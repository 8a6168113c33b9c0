"""Iterations take the time they are meant to take, within bounds."""

import pytest

from qmpserver.crypto import hashes, packages
from qmpserver.errors import QMPError


def test_more_time_is_more_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "iterations_per_second", lambda name, length: 1_000_000)
    assert hashes.iterations_for("sha256", 32, 2000) == 2_000_000
    assert hashes.iterations_for("sha256", 32, 2000, share=8) == 250_000
    assert hashes.iterations_for("sha256", 32, 0) == 1000
    for milliseconds in (-1, 1 << 62):
        with pytest.raises(QMPError, match="PBKDF iterations 1000000 too large to scale"):
            hashes.iterations_for("sha256", 32, milliseconds)
    with pytest.raises(QMPError, match="PBKDF iterations 1000000000000 larger than 4294967295"):
        hashes.iterations_for("sha256", 32, 1_000_000_000)


def test_the_machine_is_measured() -> None:
    assert hashes.iterations_per_second("sha256", 32) > 1000


def test_a_hash_of_no_name_is_refused() -> None:
    assert hashes.check_hash("sha256") == "sha256"
    with pytest.raises(QMPError, match="Hash algorithm 'foo' not supported"):
        hashes.check_hash("foo")


def test_a_missing_package_is_named_with_what_to_install() -> None:
    with pytest.raises(QMPError, match=r"install 'qmpserver\[crypto\]'"):
        packages.load("no_such_package_for_encryption")
