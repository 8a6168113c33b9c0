"""Store what drives hold in the images below: ``commit``."""

from collections.abc import Iterable

from qmpserver.errors import DeviceNotFound, QMPError, error_text
from qmpserver.machine.commit import commit
from qmpserver.machine.hmp.command import Arguments, HumanCommand
from qmpserver.machine.hmp.parameters import device
from qmpserver.machine.hmp.session import HumanSession
from qmpserver.machine.media.drive import Drive, no_medium

_ALL = "all"


async def _commit(session: HumanSession, arguments: Arguments) -> str:
    machine, name = session.machine, arguments["device"]
    async with machine.graph.lock:
        for drive in _chosen(machine.drives, name):
            try:
                await commit(machine.graph, drive.backend.node)
            except OSError as error:
                raise QMPError(f"'commit' error for '{name}': {error_text(error)}") from error
    return ""


def _chosen(drives: Iterable[Drive], name: str) -> list[Drive]:
    """Return the drive of a name, or all that something lies below."""
    if name == _ALL:
        return [
            drive
            for drive in drives
            if drive.backend.root is not None
            and drive.medium is not None
            and drive.medium.backing is not None
        ]
    found = next((drive for drive in drives if drive.name == name), None)
    if found is None:
        raise DeviceNotFound(f"Device '{name}' not found", device=name)
    if found.backend.root is None:
        raise no_medium(name)
    return [found]


COMMANDS = (
    HumanCommand(
        "commit",
        _commit,
        "store what a drive holds in the image below it, or that of all drives",
        "device|all",
        (device(),),
    ),
)
