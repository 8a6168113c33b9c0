"""Run, stop and end the machine: ``stop``, ``cont``, ``quit`` and others."""

from qmpserver.errors import ParameterError
from qmpserver.machine.hmp.command import Arguments, HumanCommand, calling
from qmpserver.machine.hmp.parameters import text
from qmpserver.machine.hmp.session import HumanSession

_WATCHDOG_ACTIONS = ("reset", "shutdown", "poweroff", "pause", "debug", "none", "inject-nmi")


async def _watchdog(session: HumanSession, arguments: Arguments) -> str:
    action = arguments["action"]
    if action not in _WATCHDOG_ACTIONS:
        raise ParameterError(f"invalid parameter value: {action}")
    await session.call("watchdog-set-action", {"action": action})
    return ""


async def _quit(session: HumanSession, _arguments: Arguments) -> str:
    session.is_over = True
    await session.call("quit")
    return ""


async def _clear(session: HumanSession, _arguments: Arguments) -> str:
    del session
    return "\x1b[H\x1b[2J\x1b[3J"


COMMANDS = (
    HumanCommand("clear", _clear, "clear the screen"),
    HumanCommand("cont|c", calling("cont"), "let the machine run"),
    HumanCommand("quit|q", _quit, "end the program"),
    HumanCommand("stop|s", calling("stop"), "stop the machine"),
    HumanCommand("system_powerdown", calling("system_powerdown"), "press the power button"),
    HumanCommand("system_reset", calling("system_reset"), "reset the machine"),
    HumanCommand("system_wakeup", calling("system_wakeup"), "wake a machine that sleeps"),
    HumanCommand(
        "watchdog_action",
        _watchdog,
        "say what follows when the watchdog runs out",
        f"[{'|'.join(_WATCHDOG_ACTIONS)}]",
        (text("action"),),
    ),
)
