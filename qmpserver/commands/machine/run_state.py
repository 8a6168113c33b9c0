"""Show and change whether the machine runs."""

from dataclasses import replace
from typing import Any

from qmpserver.jobs.block_job import BlockJob
from qmpserver.machine.machine import Machine
from qmpserver.machine.run_states import RunState


def query_status(machine: Machine) -> dict[str, Any]:
    """Say whether the machine runs."""
    return {"running": machine.state.running, "status": machine.state.status.value}


def stop(machine: Machine) -> None:
    """Stop the machine."""
    machine.state.stop()


async def cont(machine: Machine) -> None:
    """Let the machine run, on nodes that are active again; what errors have stopped is forgotten."""
    machine.state.check_may_run()
    for job in machine.jobs:
        if isinstance(job, BlockJob):
            job.io_status = "ok"
    if machine.state.status is not RunState.INMIGRATE:
        await machine.handover.take_images()
    machine.state.resume()


def system_reset(machine: Machine) -> None:
    """Reset the machine."""
    machine.state.reset()


def system_powerdown(machine: Machine) -> None:
    """Press the power button."""
    machine.state.power_down()


def system_wakeup(machine: Machine) -> None:
    """Wake a machine that sleeps."""
    machine.state.wake_up()


def inject_nmi(machine: Machine) -> None:
    """Send an interrupt to processors that are not there."""
    del machine


def set_action(
    machine: Machine,
    *,
    reboot: str | None = None,
    shutdown: str | None = None,
    panic: str | None = None,
    watchdog: str | None = None,
) -> None:
    """Say what is to follow on what the guest does."""
    given = {"reboot": reboot, "shutdown": shutdown, "panic": panic, "watchdog": watchdog}
    said = {name: action for name, action in given.items() if action is not None}
    machine.state.actions = replace(machine.state.actions, **said)


def watchdog_set_action(machine: Machine, *, action: str) -> None:
    """Say what is to follow when the watchdog runs out."""
    machine.state.actions = replace(machine.state.actions, watchdog=action)
