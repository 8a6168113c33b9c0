"""Say what a handshake must know of an export."""

from dataclasses import dataclass, field
from typing import Protocol

from qmpserver.nbd.constants import MAX_PAYLOAD, TransmissionFlag


@dataclass(frozen=True, slots=True)
class ExportInfo:
    """An export as it is offered.

    Attributes:
        name: What clients ask for.
        size: Its size in bytes.
        flags: What can be done with it.
        description: A sentence for people; empty for none.
        minimum_block: Requests must be aligned to so many bytes.
        preferred_block: Requests are fastest when aligned to so many bytes.
        maximum_block: Bytes that one request may read or write.
        contexts: The metadata contexts it has, in the order they are listed.
    """

    name: str
    size: int
    flags: TransmissionFlag
    description: str = ""
    minimum_block: int = 1
    preferred_block: int = 4096
    maximum_block: int = MAX_PAYLOAD
    contexts: tuple[str, ...] = field(default=())


class Catalog(Protocol):
    """What a server offers."""

    def names(self) -> list[tuple[str, str]]:
        """Return the names of all exports, each with its description."""

    def find(self, name: str) -> ExportInfo | None:
        """Return the export of that name; the empty name is the default export's.  None when there is none."""
