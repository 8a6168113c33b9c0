"""Know the boards that a machine can have: facts of QEMU 11.1, which keeps those of 5.2 and later.

A board is a name and what clients ask of it; there is nothing behind it but its buses, which `devices` has.
QEMU's `nitro` and `x-remote`, which are half of something else, are not here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

_VERSIONS = "5.2 6.0 6.1 6.2 7.0 7.1 7.2 8.0 8.1 8.2 9.0 9.1 9.2 10.0 10.1 10.2 11.0 11.1"
_LATEST = "11.1"
_LAST_DEPRECATED = (8, 1)
_LAST_PREFERRING_SOCKETS = (6, 1)

_Q35_CPUS = ((9, 0, 4096), (8, 1, 1024), (0, 0, 288))
"""How many processors a q35 board can have, from which version on."""


@dataclass(frozen=True, slots=True)
class Board:
    """A board.

    Attributes:
        name: Its name.
        family: What it is a version of: `pc`, `q35`, `isapc`, `microvm` or `none`.
        description: What ``-machine help`` says of it.
        alias: Another name for it, or None.
        is_default: It is used when none is named.
        cpu_max: How many processors it can have.
        hotpluggable_cpus: Processors have places that can be listed.
        deprecated: It is to go away.
        default_cpu: The model of its processors when none is named, or None when it has none.
        default_ram_id: The id of the memory that it makes by itself.
        acpi: It has ACPI.
        can_wake_up: It can sleep and be woken.
        prefers_sockets: Processors of which nothing more is said are in a socket each, not in one of many cores.
        default_memory: Bytes of memory when nothing is said.
    """

    name: str
    family: str
    description: str
    alias: str | None = None
    is_default: bool = False
    cpu_max: int = 1
    hotpluggable_cpus: bool = False
    deprecated: bool = False
    default_cpu: str | None = "qemu64"
    default_ram_id: str = "pc.ram"
    acpi: bool = True
    can_wake_up: bool = False
    prefers_sockets: bool = False
    default_memory: int = 128 << 20

    @property
    def default_cpu_type(self) -> str | None:
        """The type of its processors when none is named."""
        return f"{self.default_cpu}-x86_64-cpu" if self.default_cpu else None

    @property
    def has_flash(self) -> bool:
        """Whether its firmware can lie in flash."""
        return self.family in ("pc", "q35")


_PC = Board(
    "",
    "pc",
    "Standard PC (i440FX + PIIX, 1996)",
    cpu_max=255,
    hotpluggable_cpus=True,
    can_wake_up=True,
)
_Q35 = replace(_PC, family="q35", description="Standard PC (Q35 + ICH9, 2009)")

_OTHERS = (
    Board("isapc", "isapc", "ISA-only PC", hotpluggable_cpus=True, default_cpu="486"),
    Board("microvm", "microvm", "microvm (i386)", cpu_max=288, default_ram_id="microvm.ram"),
    Board(
        "none",
        "none",
        "empty machine",
        default_cpu=None,
        default_ram_id="ram",
        acpi=False,
        default_memory=0,
    ),
)


def _versions() -> Iterator[Board]:
    for version in _VERSIONS.split():
        major, minor = map(int, version.split("."))
        is_latest = version == _LATEST
        common: dict[str, Any] = {
            "deprecated": (major, minor) <= _LAST_DEPRECATED,
            "prefers_sockets": (major, minor) <= _LAST_PREFERRING_SOCKETS,
        }
        pc_alias, q35_alias = ("pc", "q35") if is_latest else (None, None)
        yield replace(_PC, name=f"pc-i440fx-{version}", alias=pc_alias, is_default=is_latest, **common)
        most = next(most for *since, most in _Q35_CPUS if (major, minor) >= tuple(since))
        yield replace(_Q35, name=f"pc-q35-{version}", alias=q35_alias, cpu_max=most, **common)


BOARDS = {board.name: board for board in (*_versions(), *_OTHERS)}
"""Every board by name."""


def find_board(name: str) -> Board | None:
    """Return the board of a name or alias, or None."""
    if name in BOARDS:
        return BOARDS[name]
    return next((board for board in BOARDS.values() if board.alias == name), None)


def default_board() -> Board:
    """Return the board that is used when none is named."""
    return next(board for board in BOARDS.values() if board.is_default)
