"""Tell the guest something that it does not hear: ``balloon`` and ``nmi``."""

from qmpserver.machine.hmp.command import HumanCommand, calling
from qmpserver.machine.hmp.parameters import Kind, text

COMMANDS = (
    HumanCommand(
        "balloon",
        calling("balloon"),
        "ask the guest to get by with less memory",
        "target",
        (text("value", Kind.MEGABYTES),),
    ),
    HumanCommand("nmi", calling("inject-nmi"), "send an interrupt that cannot be masked"),
)
