"""Say what every chardev is."""

from typing import ClassVar, Protocol

from qmpserver.monitor.doors import Endpoint


class User(Protocol):
    """Whoever reads and writes a chardev."""

    @property
    def has_clients(self) -> bool:
        """Whether somebody is at the other end."""


class Chardev:
    """A way for bytes in and out.

    Args:
        label: What it is called.

    Attributes:
        label: As given.
        user: Who reads and writes it, or None.
        is_taken: Somebody uses it, or is about to.
        waits_for_guest: Its user takes nothing before a guest is there.
    """

    backend: ClassVar[str]
    """The kind's name on the wire."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.user: User | None = None
        self.is_taken = False
        self.waits_for_guest = False

    @property
    def filename(self) -> str:
        """What is at the other end, as QEMU shows it."""
        return self.backend

    async def open(self) -> None:
        """Open what is at the other end.

        Raises:
            QMPError: It cannot be; nothing stays open.
        """

    def hand_over(self) -> list[Endpoint]:
        """Return where a monitor finds its clients; descriptors in it are copies, the monitor's own."""
        return []

    async def first_client(self) -> None:
        """Wait until somebody is at the other end; at once where nobody has to come."""

    def disconnect(self) -> None:
        """Part with who is at the other end, where that is a connection."""

    def close(self) -> None:
        """Let go of what is at the other end."""


class NullChardev(Chardev):
    """What is written is lost, and nothing comes in."""

    backend: ClassVar[str] = "null"
