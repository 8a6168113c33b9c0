"""Say which doors there are, behind which module each is, and by which names of QEMU's tools one goes through them."""


class Door:
    """One of the program's tools.

    It is no dataclass, since every run of the program would wait for that module.

    Attributes:
        module: Where its `main` is, which takes the program's name and the other words.
        summary: What it is for, in a few words.
        tool: The QEMU tool that it is like; empty for none.
    """

    __slots__ = ("module", "summary", "tool")

    def __init__(self, module: str, summary: str, tool: str = "") -> None:
        self.module = module
        self.summary = summary
        self.tool = tool


DOORS = {
    "daemon": Door(
        "qmpserver.cli.daemon.main",
        "serve images, and jobs on them, to QMP clients; also without the word",
        "qemu-storage-daemon",
    ),
    "img": Door("qmpserver.cli.img.main", "make, describe, check and convert images", "qemu-img"),
    "io": Door("qmpserver.cli.io.main", "make single requests to an image", "qemu-io"),
    "nbd": Door("qmpserver.cli.nbd.main", "offer one image over NBD", "qemu-nbd"),
    "machine": Door(
        "qmpserver.cli.machine.main", "be a machine to QMP clients, without a guest", "qemu-system-*"
    ),
    "shell": Door("qmpserver.cli.shell", "talk to a QMP server"),
    "link": Door("qmpserver.cli.link", "make links by which the program behaves as QEMU's tools"),
}
"""The doors by the word that opens them."""

MACHINE_NAME = "qemu-system-"
"""What the name of every machine begins with."""

_WORDS = {door.tool: word for word, door in DOORS.items() if door.tool}


def word_of(program: str) -> str | None:
    """Return the word of the door behind the name of a QEMU tool, or None for any other name."""
    architecture = program.removeprefix(MACHINE_NAME)
    if architecture != program:
        return "machine" if architecture.isidentifier() else None
    return _WORDS.get(program)


def help_text(program: str) -> str:
    """Return what ``--help`` prints in front of all doors."""
    lines = [
        f"Usage: {program} [daemon] OPTION...",
        *(f"   or: {program} {word} ..." for word in DOORS if word != "daemon"),
        "QEMU's block layer and QMP control plane, without the guest.",
        "",
    ]
    for word, door in DOORS.items():
        lines.append(f"  {word:8} {door.summary}{f' ({door.tool})' if door.tool else ''}")
    lines += [
        "",
        f"'{program} WORD --help' describes each.  Called by the name of a QEMU tool, as through a link,",
        "the program behaves as that tool.",
        "",
    ]
    return "\n".join(lines)
