"""Keep what is on and off about migration."""

from collections.abc import Iterable, Mapping

from qmpserver.errors import QMPError

CAPABILITIES = (
    "xbzrle",
    "rdma-pin-all",
    "auto-converge",
    "events",
    "postcopy-ram",
    "x-colo",
    "release-ram",
    "return-path",
    "pause-before-switchover",
    "multifd",
    "dirty-bitmaps",
    "postcopy-blocktime",
    "late-block-activate",
    "x-ignore-shared",
    "validate-uuid",
    "background-snapshot",
    "zero-copy-send",
    "postcopy-preempt",
    "switchover-ack",
    "dirty-limit",
    "mapped-ram",
)
"""All that QEMU has, in its order."""

UNAVAILABLE = {
    "rdma-pin-all": "RDMA is not supported",
    "postcopy-ram": "Postcopy is not supported: there is no guest memory",
    "x-colo": "COLO is not supported",
    "background-snapshot": "Background-snapshot is not supported: there is no guest memory",
    "postcopy-preempt": "Postcopy preempt requires postcopy-ram",
    "dirty-limit": "dirty-limit requires KVM with accelerator property 'dirty-ring-size' set",
}
"""What cannot be switched on, with the reason.  What only concerns guest memory otherwise means nothing here."""

NEEDS = {
    "switchover-ack": ("return-path", "Capability 'switchover-ack' requires capability 'return-path'"),
    "zero-copy-send": (
        "multifd",
        "Zero copy only available for non-compressed non-TLS multifd migration",
    ),
}
"""What can only be on together with another one, and what is said otherwise."""


class Capabilities:
    """What is on; all is off at first."""

    def __init__(self) -> None:
        self._on = dict.fromkeys(CAPABILITIES, False)

    def __getitem__(self, name: str) -> bool:
        return self._on[name]

    def items(self) -> Iterable[tuple[str, bool]]:
        """Return each with whether it is on, in QEMU's order."""
        return self._on.items()

    def set(self, wanted: Mapping[str, bool]) -> None:
        """Switch some on and off.

        Raises:
            QMPError: One cannot be had; nothing has changed.
        """
        for name, is_on in wanted.items():
            if is_on and name in UNAVAILABLE:
                raise QMPError(UNAVAILABLE[name])
        changed = {**self._on, **wanted}
        for name, (needed, message) in NEEDS.items():
            if changed[name] and not changed[needed]:
                raise QMPError(message)
        self._on = changed
