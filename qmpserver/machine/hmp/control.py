"""Run, stop and end the machine: ``stop``, ``cont``, ``quit`` and others."""

from qmpserver.machine.hmp.command import Arguments, HumanCommand, calling
from qmpserver.machine.hmp.parameters import text
from qmpserver.machine.hmp.session import HumanSession


async def _quit(session: HumanSession, _arguments: Arguments) -> str:
    await session.call("quit")
    return ""


COMMANDS = (
    HumanCommand("cont|c", calling("cont"), "let the machine run"),
    HumanCommand("quit|q", _quit, "end the program"),
    HumanCommand("stop|s", calling("stop"), "stop the machine"),
    HumanCommand("system_powerdown", calling("system_powerdown"), "press the power button"),
    HumanCommand("system_reset", calling("system_reset"), "reset the machine"),
    HumanCommand("system_wakeup", calling("system_wakeup"), "wake a machine that sleeps"),
    HumanCommand(
        "watchdog_action",
        calling("watchdog-set-action"),
        "say what follows when the watchdog runs out",
        "[reset|shutdown|poweroff|pause|debug|none|inject-nmi]",
        (text("action"),),
    ),
)
