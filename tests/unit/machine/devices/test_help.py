"""Users are told which devices there are and what each is told, in QEMU's form."""

import pytest

from qmpserver.errors import QMPError
from qmpserver.machine.devices.help import list_properties, list_types


def test_types_are_listed_by_category() -> None:
    listed = list_types().split("\n")
    assert listed[0] == "Controller/Bridge/Hub devices:"
    storage = listed[listed.index("Storage devices:") + 1 :]
    storage = storage[: storage.index("")]
    assert 'name "virtio-blk-pci", bus PCI, alias "virtio-blk"' in storage
    assert 'name "scsi-hd", bus SCSI, desc "SCSI disk"' in storage
    assert storage == sorted(storage, key=str.lower)
    assert not any('"i440FX"' in line or '"virtio-pci"' in line for line in listed)


def test_properties_are_listed_with_type_words_and_default() -> None:
    listed = list_properties("virtio-blk").split("\n")
    assert listed[0] == "virtio-blk-pci options:"
    assert "  serial=<str>" in listed
    assert "  share-rw=<bool>        - on/off (default: off)" in listed
    assert "  discard_granularity=<size> -  (default: 4294967295)" in listed
    assert not any("child<" in line or "realized" in line for line in listed)


@pytest.mark.parametrize(
    ("driver", "text"),
    [
        ("nope", "Device 'nope' not found"),
        ("device", "Parameter 'typename' expects a non-abstract device type"),
    ],
)
def test_what_is_no_device_has_no_properties(driver: str, text: str) -> None:
    with pytest.raises(QMPError, match=text):
        list_properties(driver)
