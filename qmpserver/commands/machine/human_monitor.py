"""Carry out a line of the monitor for people."""

from qmpserver.errors import ParameterError
from qmpserver.machine.hmp.interpreter import run_line
from qmpserver.machine.hmp.session import HumanSession
from qmpserver.machine.hmp.table import TABLES
from qmpserver.machine.machine import Machine
from qmpserver.monitor.commands import Client


async def human_monitor_command(
    machine: Machine, *, client: Client, command_line: str, cpu_index: int | None = None
) -> str:
    """Carry out a line, and return what there is to say."""
    if cpu_index is not None and not 0 <= cpu_index < machine.config.topology.cpus:
        raise ParameterError("Parameter 'cpu-index' expects a CPU number")
    session = HumanSession(machine, client, machine.commands)
    return (await run_line(TABLES, session, command_line)).replace("\n", "\r\n")
