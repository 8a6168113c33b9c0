"""How the exports of another server are described."""

from qmpserver.cli.nbd.listing import description_lines
from qmpserver.nbd.client_handshake import Listed
from qmpserver.nbd.constants import TransmissionFlag
from qmpserver.nbd.export_info import ExportInfo
from qmpserver.nbd.server_handshake import HeaderMode

FLAGS = (
    *("readonly", "flush", "fua", "rotational", "trim", "zeroes", "df", "multi", "resize", "cache"),
    *("fast-zero", "block-status-payload"),
)


def test_all_that_is_known_is_told() -> None:
    flags = TransmissionFlag(0xFFFF)
    info = ExportInfo("disk", 512, flags)
    listed = Listed(
        "disk", "a disk", HeaderMode.EXTENDED, info, (1, 4096, 1 << 25), ("base:allocation", "x:y")
    )
    assert description_lines(listed) == [
        " export: 'disk'",
        "  description: a disk",
        "  size:  512",
        f"  flags: 0xffff ( {' '.join(FLAGS)} ? ? ? )",
        "  min block: 1",
        "  opt block: 4096",
        "  max block: 33554432",
        "  transaction size: 64-bit",
        "  available meta contexts: 2",
        "   base:allocation",
        "   x:y",
    ]


def test_what_is_not_known_is_left_out() -> None:
    assert description_lines(Listed("", "", HeaderMode.SIMPLE)) == [
        " export: ''",
        "  transaction size: 32-bit",
    ]
