"""Keep the rules of a blkdebug node: which event makes which requests fail, or changes the state."""

import enum
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.units import SECTOR_SIZE

NO_EVENT = "none"
"""Rules of this event are in force from the beginning."""

FIRST_STATE = 1

EVENTS = frozenset(
    [
        "l1_update",
        "l1_grow_alloc_table",
        "l1_grow_write_table",
        "l1_grow_activate_table",
        "l2_load",
        "l2_update",
        "l2_update_compressed",
        "l2_alloc_cow_read",
        "l2_alloc_write",
        "read_aio",
        "read_backing_aio",
        "read_compressed",
        "write_aio",
        "write_compressed",
        "vmstate_load",
        "vmstate_save",
        "cow_read",
        "cow_write",
        "reftable_load",
        "reftable_grow",
        "reftable_update",
        "refblock_load",
        "refblock_update",
        "refblock_update_part",
        "refblock_alloc",
        "refblock_alloc_hookup",
        "refblock_alloc_write",
        "refblock_alloc_write_blocks",
        "refblock_alloc_write_table",
        "refblock_alloc_switch_table",
        "cluster_alloc",
        "cluster_alloc_bytes",
        "cluster_free",
        "flush_to_os",
        "flush_to_disk",
        "pwritev_rmw_head",
        "pwritev_rmw_after_head",
        "pwritev_rmw_tail",
        "pwritev_rmw_after_tail",
        "pwritev",
        "pwritev_zero",
        "pwritev_done",
        "empty_image_prepare",
        "l1_shrink_write_table",
        "l1_shrink_free_l2_clusters",
        "cor_write",
        "cluster_alloc_space",
        "none",
    ]
)
"""QEMU's ``BlkdebugEvent``."""


class IoType(enum.Enum):
    """The kinds of requests that an error may be meant for."""

    READ = "read"
    WRITE = "write"
    WRITE_ZEROES = "write-zeroes"
    DISCARD = "discard"
    FLUSH = "flush"
    BLOCK_STATUS = "block-status"


USUAL_TYPES = frozenset(IoType) - {IoType.BLOCK_STATUS}
"""What an error is meant for when its rule does not say."""


@dataclass(frozen=True, slots=True, eq=False)
class Injection:
    """Requests that are to fail, once their event has come.

    Attributes:
        event: The event.
        state: The state in which the event counts; 0 for any.
        types: The requests meant.
        errno: What they fail with; 0 or less for nothing.
        delay_ns: What they take longer.
        offset: Only requests that include this byte, or None for all.
        once: Only the first of them.
        immediately: They fail before the caller has had to wait.
    """

    event: str
    state: int = 0
    types: frozenset[IoType] = USUAL_TYPES
    errno: int = 5
    delay_ns: int = 0
    offset: int | None = None
    once: bool = False
    immediately: bool = False

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> "Injection":
        """Read ``BlkdebugInjectErrorOptions``."""
        sector = options.get("sector", -1)
        return cls(
            event=options["event"],
            state=options.get("state", 0),
            types=frozenset((IoType(options["iotype"]),)) if "iotype" in options else USUAL_TYPES,
            errno=options.get("errno", 5),
            delay_ns=options.get("delay-ns", 0),
            offset=sector * SECTOR_SIZE if sector != -1 else None,
            once=options.get("once", False),
            immediately=options.get("immediately", False),
        )

    def meets(self, kind: IoType, offset: int, length: int) -> bool:
        """Say whether a request is meant."""
        is_there = self.offset is None or offset <= self.offset < offset + length
        return kind in self.types and is_there


@dataclass(frozen=True, slots=True)
class Transition:
    """An event that changes the state."""

    event: str
    state: int
    new_state: int

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> "Transition":
        """Read ``BlkdebugSetStateOptions``."""
        return cls(options["event"], options.get("state", 0), options.get("new_state", 0))


class Rules:
    """The rules, the state, and the errors in force.

    Args:
        injections: Errors, in the order they were given.
        transitions: Changes of state, likewise.
    """

    def __init__(self, injections: Iterable[Injection], transitions: Iterable[Transition]) -> None:
        self._injections: dict[str, list[Injection]] = defaultdict(list)
        self._transitions: dict[str, list[Transition]] = defaultdict(list)
        self._breakpoints: list[tuple[str, str]] = []
        for injection in injections:
            self._injections[injection.event].append(injection)
        for transition in transitions:
            self._transitions[transition.event].append(transition)
        self.state = FIRST_STATE
        self._in_force: list[Injection] = []
        self.happen(NO_EVENT)

    def happen(self, event: str) -> list[str]:
        """Take note of an event; return the tags of the breakpoints that it meets, which are gone then."""
        met = [rule for rule in self._injections[event] if rule.state in (0, self.state)]
        if met:
            # An event that brings errors ends those of the event before.
            self._in_force = met
        # Where two apply, the one that was given first counts.
        moves = (move for move in self._transitions[event] if move.state in (0, self.state))
        move = next(moves, None)
        if move is not None:
            self.state = move.new_state
        tags = [tag for where, tag in self._breakpoints if where == event]
        self._breakpoints = [entry for entry in self._breakpoints if entry[0] != event]
        return tags

    def check(self, kind: IoType, offset: int, length: int) -> Injection | None:
        """Return what is to happen to a request, or None."""
        for rule in self._in_force:
            if rule.meets(kind, offset, length):
                if rule.once:
                    self._in_force.remove(rule)
                    self._injections[rule.event].remove(rule)
                return rule
        return None

    def add_breakpoint(self, event: str, tag: str) -> None:
        """Have the next request that meets an event stop.

        Raises:
            QMPError: There is no such event.
        """
        if event not in EVENTS:
            raise QMPError(f"invalid parameter value: {event}")
        self._breakpoints.append((event, tag))

    def remove_breakpoints(self, tag: str) -> bool:
        """Forget the breakpoints of that tag; say whether there were any."""
        kept = [entry for entry in self._breakpoints if entry[1] != tag]
        had_any = len(kept) < len(self._breakpoints)
        self._breakpoints = kept
        return had_any

    def forget_breakpoints(self) -> None:
        """Forget all of them."""
        self._breakpoints.clear()
