"""Two sides of a handshake that talk to each other without any carrier."""

from dataclasses import dataclass, field

from qmpserver.nbd.client_handshake import Conversation, T
from qmpserver.nbd.constants import TransmissionFlag
from qmpserver.nbd.export_info import ExportInfo
from qmpserver.nbd.server_handshake import Negotiated, ServerHandshake, Turn

CONTEXTS = ("base:allocation", "qemu:dirty-bitmap:b0", "qemu:allocation-depth")
DISK = ExportInfo("disk", 1 << 20, TransmissionFlag.SEND_FLUSH, "a disk", 1, 4096, 32 << 20, CONTEXTS)
STRICT = ExportInfo("strict", 1 << 30, TransmissionFlag.READ_ONLY, "", 512, 65536, 32 << 20)


@dataclass
class Catalog:
    """Two exports, the first of which is the default."""

    exports: dict[str, ExportInfo] = field(default_factory=lambda: {"disk": DISK, "strict": STRICT})

    def names(self) -> list[tuple[str, str]]:
        return [(export.name, export.description) for export in self.exports.values()]

    def find(self, name: str) -> ExportInfo | None:
        return self.exports.get(name or "disk")


def talk(client: Conversation[T], server: ServerHandshake, piece: int = 1 << 20) -> Negotiated | None:
    """Let both talk, in pieces of so many bytes, until neither has anything to say.

    Returns:
        What the server thinks was agreed, if anything was.
    """
    negotiated: Negotiated | None = None
    to_client, to_server = bytearray(server.greeting()), bytearray()
    while to_client or to_server:
        client.feed(bytes(to_client[:piece]))
        del to_client[:piece]
        while (said := client.next()) is not None:
            if isinstance(said, bytes):
                to_server += said
        server.feed(bytes(to_server[:piece]))
        del to_server[:piece]
        while negotiated is None and (item := server.next()) is not None:
            if isinstance(item, bytes):
                to_client += item
            elif isinstance(item, Negotiated):
                negotiated = item
            elif item is Turn.CLOSED:
                return None
    return negotiated
