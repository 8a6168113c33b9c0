"""Choose and show which parts of the program log in detail: ``trace-event`` and ``info trace-events``."""

from qmpserver.errors import QMPError
from qmpserver.machine.hmp.command import Arguments, HumanCommand
from qmpserver.machine.hmp.parameters import Kind, optional, text
from qmpserver.machine.hmp.session import HumanSession


async def _set(session: HumanSession, arguments: Arguments) -> str:
    try:
        await session.call(
            "trace-event-set-state", {"name": arguments["name"], "enable": arguments["option"]}
        )
    except QMPError as error:
        # QEMU: it is no error here.
        return f"{error.description}\n"
    return ""


async def _show(session: HumanSession, arguments: Arguments) -> str:
    try:
        found = await session.call("trace-event-get-state", {"name": arguments.get("name", "*")})
    except QMPError as error:
        return f"{error.description}\n"
    return "".join(f"{each['name']} : state {int(each['state'] == 'enabled')}\n" for each in found)


COMMANDS = (
    HumanCommand(
        "trace-event",
        _set,
        "have parts of the program log in detail, or not",
        "name on|off",
        (text("name"), text("option", Kind.SWITCH)),
    ),
)

SHOWING = (
    HumanCommand(
        "trace-events",
        _show,
        "show which parts of the program log in detail",
        "[name]",
        (optional("name"),),
    ),
)
