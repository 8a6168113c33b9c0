"""Add and remove network backends, which carry nothing: ``netdev_add`` and ``netdev_del``."""

from qmpserver.machine.hmp.command import Arguments, HumanCommand, calling
from qmpserver.machine.hmp.parameters import Kind, optional, text
from qmpserver.machine.hmp.session import HumanSession
from qmpserver.options import structured


async def _add(session: HumanSession, arguments: Arguments) -> str:
    given = structured.parse(arguments.get("netdev", ""), "type")
    await session.call("netdev_add", given.as_type(session.machine.schema.type("Netdev")))
    return ""


COMMANDS = (
    HumanCommand(
        "netdev_add",
        _add,
        "add a network backend",
        "[user|tap|socket|stream|dgram|vde|bridge|hubport|netmap|vhost-user|passt],id=str[,prop=value][,...]",
        (optional("netdev", Kind.REST),),
    ),
    HumanCommand("netdev_del", calling("netdev_del"), "take a network backend away", "id", (text("id"),)),
)
