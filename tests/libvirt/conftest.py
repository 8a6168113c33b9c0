"""A libvirt of our own, and a program for it to run."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.libvirt.domains import ROOT
from tests.libvirt.libvirtd import Libvirt, can_have_namespaces
from tests.peers import need


@pytest.fixture(scope="session")
def libvirt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Libvirt]:
    for program in ("libvirtd", "virsh", "qemu-img", "qemu-io"):
        need(program)
    if not can_have_namespaces():
        pytest.skip("mount namespaces cannot be had")
    with Libvirt(tmp_path_factory.mktemp("libvirt")) as running:
        yield running


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a program of the name that libvirt looks for, which is ours."""
    link = tmp_path_factory.mktemp("bin") / "qemu-system-x86_64"
    link.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m qmpserver machine "$@"\n')
    link.chmod(0o755)
    return link
