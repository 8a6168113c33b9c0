"""Make requests of drives and nodes by hand: ``qemu-io``."""

import sys
from typing import TextIO

from qmpserver.errors import QMPError
from qmpserver.machine.hmp.command import Arguments, HumanCommand
from qmpserver.machine.hmp.parameters import device, flag, text
from qmpserver.machine.hmp.session import HumanSession


class _ProcessOutput:
    """Says on the standard streams of the process what was found, and to the monitor what is refused.

    QEMU: likewise, so that who only has the monitor sees from events and counts what became of a request.
    """

    def __init__(self) -> None:
        self.refused: list[str] = []

    def say(self, line: str) -> None:
        """Say what a command found, or what it complains of."""
        _write(sys.stdout, line)

    def remark(self, line: str) -> None:
        """Say how a command is typed."""
        _write(sys.stderr, line)

    def refuse(self, error: QMPError, about: str = "") -> None:
        """Say what the engine has against something."""
        self.refused.append(f"{about}{error.description}\n")

    def warn(self, what: str, instead: str) -> None:
        """Say what is deprecated, and what to write instead."""
        self.refused.append(f"warning: {what}\n" + (f"{instead}\n" if instead else ""))


def _write(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()


async def _qemu_io(session: HumanSession, arguments: Arguments) -> str:
    machine, name, line = session.machine, arguments["device"], arguments["command"]
    drives, output = machine.drives, _ProcessOutput()
    drive = drives.find(qdev_id=name) if arguments["qdev"] else drives.named(name)
    if drive is not None:
        await machine.hand_io.on_drive(drive, line, output)
    elif (node := machine.graph.get(name)) is not None:
        await machine.hand_io.on_node(node, line, output)
    else:
        raise QMPError(f"Cannot find device='' nor node-name='{name}'")
    return "".join(output.refused)


COMMANDS = (
    HumanCommand(
        "qemu-io",
        _qemu_io,
        "carry a command of qemu-io out on a drive or node (-d: on a device)",
        '[-d] [device] "[command]"',
        (flag("qdev", "d"), device(), text("command")),
    ),
)
