"""Remember how a medium was opened, for the next one."""

from dataclasses import dataclass
from typing import Any, Self

from qmpserver.block.view import NodeFlags


@dataclass(frozen=True, slots=True)
class Openness:
    """How a medium was opened, which is how the next one is opened that a client names.

    Attributes:
        read_only: It is not written.
        direct: The host's page cache is bypassed.
        no_flush: Nothing needs to reach the disk.
        detect_zeroes: Whether writes of zeroes are looked for.
    """

    read_only: bool = True
    direct: bool = False
    no_flush: bool = False
    detect_zeroes: str = "off"

    @classmethod
    def of(cls, flags: NodeFlags) -> Self:
        """Return how a node was opened."""
        return cls(flags.read_only, flags.direct, flags.no_flush, flags.detect_zeroes)

    @property
    def options(self) -> dict[str, Any]:
        """What opens another node so, as members of ``BlockdevOptions``."""
        return {
            "read-only": self.read_only,
            "detect-zeroes": self.detect_zeroes,
            "cache": {"direct": self.direct, "no-flush": self.no_flush},
        }
