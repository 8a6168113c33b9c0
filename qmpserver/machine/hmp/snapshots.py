"""Keep the machine as it is, and go back to that: ``savevm``, ``loadvm``, ``delvm`` and ``info snapshots``."""

from collections.abc import Sequence

from qmpserver.block.info import snapshot_info
from qmpserver.block.internal_snapshots import SnapshotImage
from qmpserver.block.snapshot_list import header_row, snapshot_row
from qmpserver.driver_api.extras import SnapshotInfo
from qmpserver.errors import QMPError
from qmpserver.machine import snapshots
from qmpserver.machine.hmp.command import Arguments, HumanCommand
from qmpserver.machine.hmp.parameters import optional, text
from qmpserver.machine.hmp.session import HumanSession
from qmpserver.machine.machine import Machine

_NO_ID = "--"
"""Stands for the id of a snapshot that lies in several images, and for what is not known."""


async def _save(session: HumanSession, arguments: Arguments) -> str:
    await snapshots.save(session.machine, arguments.get("name"))
    return ""


async def _load(session: HumanSession, arguments: Arguments) -> str:
    await snapshots.load(session.machine, arguments["name"])
    return ""


async def _delete(session: HumanSession, arguments: Arguments) -> str:
    await snapshots.delete(session.machine, arguments["name"])
    return ""


async def _info(session: HumanSession, _arguments: Arguments) -> str:
    machine = session.machine
    async with machine.graph.lock:
        images = snapshots.images_of(machine, only_fit=True)
        everywhere = _everywhere(images) if _all_fit(machine) else []
        if not any(image.driver.snapshots for image in images):
            return "There is no snapshot available.\n"
        lines = ["List of snapshots present on all disks:"]
        if everywhere:
            lines += [header_row(), *(_row(one, _NO_ID) for one in everywhere)]
        else:
            lines.append("None")
        names = {one.name for one in everywhere}
        for image in images:
            partial = [one for one in image.driver.snapshots if one.name not in names]
            if partial:
                name = machine.drives.name_of(image.node)
                lines += ["", f"List of partial (non-loadable) snapshots on '{name}':", header_row()]
                lines += [_row(one, one.snapshot_id) for one in partial]
    return "".join(f"{line}\n" for line in lines)


def _all_fit(machine: Machine) -> bool:
    """Say whether every image that can be written can hold snapshots."""
    try:
        snapshots.images_of(machine)
    except QMPError:
        return False
    return True


def _everywhere(images: Sequence[SnapshotImage]) -> list[SnapshotInfo]:
    """Return the snapshots that every image has, as the first image has them."""
    first, *others = images
    return [one for one in first.driver.snapshots if all(other.find(name=one.name) for other in others)]


def _row(snapshot: SnapshotInfo, shown_id: str) -> str:
    return snapshot_row({**snapshot_info(snapshot), "id": shown_id})


COMMANDS = (
    HumanCommand("delvm", _delete, "forget a snapshot of the machine", "tag", (text("name"),)),
    HumanCommand("loadvm", _load, "go back to a snapshot of the machine", "tag", (text("name"),)),
    HumanCommand("savevm", _save, "take a snapshot of the machine", "tag", (optional("name"),)),
)

SHOWING = (HumanCommand("snapshots", _info, "show the snapshots of the machine"),)
