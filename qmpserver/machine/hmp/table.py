"""Know all commands."""

from qmpserver.machine.hmp import (
    block_text,
    chardevs,
    commit,
    control,
    device_text,
    drives,
    exports,
    guest,
    interpreter,
    jobs,
    migration,
    network,
    objects,
    pci_text,
    qemu_io,
    snapshots,
    state_text,
    trace,
)
from qmpserver.machine.hmp.command import Arguments, CommandTable, HumanCommand
from qmpserver.machine.hmp.interpreter import Tables
from qmpserver.machine.hmp.parameters import Kind, optional
from qmpserver.machine.hmp.session import HumanSession


async def _help(session: HumanSession, arguments: Arguments) -> str:
    del session
    return interpreter.help_text(TABLES, arguments.get("name", ""))


async def _info(session: HumanSession, arguments: Arguments) -> str:
    del session, arguments
    return interpreter.help_text(TABLES, interpreter.INFO)


_OWN = (
    HumanCommand("help|?", _help, "describe a command, or all", "[cmd]", (optional("name", Kind.REST),)),
    HumanCommand("info", _info, "show something of the machine", "[subcommand]"),
)

_DOING = (
    chardevs,
    commit,
    control,
    drives,
    exports,
    guest,
    jobs,
    migration,
    network,
    objects,
    qemu_io,
    snapshots,
    trace,
)
_SHOWING = (block_text, device_text, pci_text, state_text)


def _table(*commands: HumanCommand) -> CommandTable:
    return CommandTable(tuple(sorted(commands, key=lambda command: command.name)))


TABLES = Tables(
    _table(*_OWN, *(command for module in _DOING for command in module.COMMANDS)),
    _table(
        *(command for module in _SHOWING for command in module.COMMANDS),
        *migration.SHOWING,
        *snapshots.SHOWING,
        *trace.SHOWING,
    ),
)
"""All commands."""
