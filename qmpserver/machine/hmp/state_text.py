"""Show what the machine is and how it fares: ``info status``, ``info name``, ``info version`` and others."""

from qmpserver.machine.hmp.command import Arguments, HumanCommand
from qmpserver.machine.hmp.session import HumanSession


async def _status(session: HumanSession, _arguments: Arguments) -> str:
    status = await session.call("query-status")
    # The reason of a machine that does not run is no news when somebody has stopped it.
    is_plain = status["running"] or status["status"] == "paused"
    state = "running" if status["running"] else "paused"
    return f"VM status: {state}{'' if is_plain else ' (' + status['status'] + ')'}\n"


async def _version(session: HumanSession, _arguments: Arguments) -> str:
    version = await session.call("query-version")
    qemu = version["qemu"]
    return f"{qemu['major']}.{qemu['minor']}.{qemu['micro']}{version['package']}\n"


async def _name(session: HumanSession, _arguments: Arguments) -> str:
    name = (await session.call("query-name")).get("name")
    return f"{name}\n" if name is not None else ""


async def _uuid(session: HumanSession, _arguments: Arguments) -> str:
    return f"{(await session.call('query-uuid'))['UUID']}\n"


async def _kvm(session: HumanSession, _arguments: Arguments) -> str:
    kvm = await session.call("query-kvm")
    if not kvm["present"]:
        return "kvm support: not compiled\n"
    return f"kvm support: {'enabled' if kvm['enabled'] else 'disabled'}\n"


COMMANDS = (
    HumanCommand("kvm", _kvm, "say whether a guest would run on the processor itself"),
    HumanCommand("name", _name, "show the machine's name"),
    HumanCommand("status", _status, "say whether the machine runs"),
    HumanCommand("uuid", _uuid, "show the machine's identity"),
    HumanCommand("version", _version, "show the version of QEMU whose monitor this is"),
)
