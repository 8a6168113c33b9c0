"""Command lines of the image tool about damaged images; see :mod:`img_lines`.

``!poke FILE OFFSET BYTES`` writes bytes, given in hexadecimal, into a file.  In these images the refcount table lies
at 0x10000, its only block at 0x20000, the L1 table at 0x30000, the L2 table at 0x40000, and then the data.
"""

_REFCOUNT_TABLE, _REFCOUNTS, _L1, _L2, _FEATURES = 0x10000, 0x20000, 0x30000, 0x40000, 72

_LOOK = ("check",)
_REPAIR_ALL = ("check -r all",)
_REPAIR = (("check -r leaks",), _REPAIR_ALL)
_QUIETLY = ("check --output json", "check -q")

_DAMAGE = (
    ("leaked", _REFCOUNTS + 18, "0002", _LOOK, *_REPAIR, _QUIETLY),
    ("lost", _REFCOUNTS + 12, "0000", _LOOK),
    ("unshared", _L2 + 8, "0000000000000000", _LOOK, *_REPAIR),
    ("shared", _L2 + 8, "8000000000050000", _LOOK, *_REPAIR),
    ("copied", _L2, "0000000000050000", _LOOK, *_REPAIR, _QUIETLY),
    ("l1_copied", _L1, "0000000000040000", _LOOK, *_REPAIR),
    ("misaligned", _L2, "8000000000050200", _LOOK, *_REPAIR),
    ("reserved", _L2, "8000000000050002", _LOOK, _REPAIR_ALL),
    ("beyond", _L2, "8000010000000000", _LOOK, *_REPAIR),
    ("l1_misaligned", _L1, "8000000000040200", _LOOK, *_REPAIR),
    ("l1_reserved", _L1, "8000000000040001", _LOOK, _REPAIR_ALL),
    ("zero_misaligned", _L2, "8000000000050201", _LOOK, _REPAIR_ALL),
    ("refcount_block_misaligned", _REFCOUNT_TABLE, "0000000000020200", _LOOK, _QUIETLY),
    ("refcount_block_beyond", _REFCOUNT_TABLE + 8, "0000010000000000", _LOOK),
    ("in_use", _FEATURES + 7, "01", _LOOK, *_REPAIR),
    ("corrupt", _FEATURES + 7, "02", _LOOK, *_REPAIR),
)
"""An image's name, where what is written into it, and the checks; each group of them is made of a new image."""


def _lines(name: str, offset: int, data: str, checks: tuple[str, ...]) -> list[str]:
    image = f"{name}.qcow2"
    return [
        f"create -q -f qcow2 {image} 1M",
        f"bench -w -c 4 -s 64k --pattern 1 {image}",
        f"!poke {image} {offset} {data}",
        *(f"{check} {image}" for check in checks),
    ]


STORIES = {
    "damage": "\n".join(
        line
        for name, offset, data, *groups in _DAMAGE
        for checks in groups
        for line in _lines(name, offset, data, checks)
    )
}
"""The lines of each story."""
