"""Describe the options that can be changed of an image that is there, as ``amend -o`` takes them, for each format."""

from collections.abc import Mapping

from qmpserver.cli.img.creation_options import FORMATS, CreationOption
from qmpserver.options.flat_options import Kind

_SAME = frozenset(
    (
        "backing_file",
        "backing_fmt",
        "compat",
        "data_file",
        "data_file_raw",
        "lazy_refcounts",
        "refcount_bits",
        "size",
    )
)
"""Those of a new qcow2 image that can be changed later."""

_LUKS = (
    CreationOption("state", Kind.STRING, "Add a passphrase (active), or erase (inactive)", "state"),
    CreationOption("new-secret", Kind.STRING, "Secret object with the passphrase to add", "new-secret"),
    CreationOption("old-secret", Kind.STRING, "Secret object with the passphrase to erase", "old-secret"),
    CreationOption("keyslot", Kind.NUMBER, "The one key slot to change", "keyslot"),
    CreationOption("iter-time", Kind.NUMBER, "Milliseconds to derive the key", "iter-time"),
)

_QCOW2 = (
    *(option for option in FORMATS["qcow2"] if option.name in _SAME),
    *(option._replace(name=f"encrypt.{option.name}", member=f"encrypt.{option.member}") for option in _LUKS),
)

AMENDABLE: Mapping[str, tuple[CreationOption, ...]] = {"qcow2": _QCOW2, "luks": _LUKS}
"""The formats of which something can be changed, and what."""
