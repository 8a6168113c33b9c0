"""``img snapshot``: list, take, apply and delete snapshots inside an image."""

import time

from qmpserver.block import internal_snapshots
from qmpserver.block.snapshot_list import snapshot_members, snapshot_rows
from qmpserver.cli.command_line import Failure, Given, expecting, table
from qmpserver.cli.images.images import Image, ImageName, Images
from qmpserver.driver_api.extras import SnapshotInfo, SupportsSnapshots
from qmpserver.errors import QMPError, reason

OPTIONS = table(
    "f=format l=list c=create a=apply d=delete U=force-share q=quiet",
    {
        "format": True,
        "image-opts": False,
        "list": False,
        "create": True,
        "apply": True,
        "delete": True,
        "force-share": False,
        "quiet": False,
    },
)

HELP = """\
Usage: {invoked} [-f FORMAT | --image-opts] [-l | -c NAME | -a NAME | -d NAME] [options] FILE
List, take, apply and delete snapshots inside an image.

  -f, --format FORMAT  do not find out the format but take this one
  --image-opts         FILE is a list of options (key=value,...)
  -l, --list           list the snapshots (what is done when nothing is said)
  -c, --create NAME    take a snapshot
  -a, --apply NAME     go back to a snapshot
  -d, --delete NAME    delete a snapshot
  -U, --force-share    others may write the image meanwhile
  -q, --quiet          print errors only
  --object OBJECT      create an object that the image needs
"""

_ACTIONS = ("list", "create", "apply", "delete")


async def run(given: Given) -> int:
    """Do what is asked with the snapshots."""
    actions = [action for action in _ACTIONS if given.has(action)] or ["list"]
    if len(actions) > 1 or len(given.all(actions[0])) > 1:
        raise Failure("Cannot mix '-l', '-a', '-c', '-d'", hint=True)
    if len(given.operands) != 1:
        expecting("one image file name")
    action = actions[0]
    name = given.last(action) or ""
    async with Images(given) as images:
        image = await images.open(ImageName.of(given, given.operands[0], writable=action != "list"))
        match action:
            case "list":
                _list(image)
            case "create":
                await _create(image, name)
            case "apply":
                await _apply(image, name)
            case _:
                await _delete(image, name)
    return 0


def _list(image: Image) -> None:
    driver = image.node.driver
    snapshots = driver.snapshots if isinstance(driver, SupportsSnapshots) else ()
    if snapshots:
        print(snapshot_rows(map(snapshot_members, snapshots)))


def _supporting(image: Image) -> SupportsSnapshots:
    driver = image.node.driver
    if not isinstance(driver, SupportsSnapshots):
        raise QMPError("Operation not supported")
    return driver


async def _create(image: Image, name: str) -> None:
    try:
        driver = _supporting(image)
        wanted = internal_snapshots.describe(name, time.time_ns() // 1000)
        async with image.node.drained():
            await driver.create_snapshot(wanted)
    except (OSError, QMPError) as error:
        raise Failure(f"Could not create snapshot '{name}': {reason(error)}") from error


async def _apply(image: Image, name: str) -> None:
    try:
        driver = _supporting(image)
        found = _find(driver, name)
        if found is None:
            raise QMPError("Failed to load snapshot: No such file or directory")
        async with image.node.drained():
            await driver.apply_snapshot(found.snapshot_id, found.name)
    except (OSError, QMPError) as error:
        raise Failure(f"Could not apply snapshot '{name}': {reason(error)}") from error


async def _delete(image: Image, name: str) -> None:
    try:
        driver = _supporting(image)
        # QEMU: to delete a snapshot, its name counts and not its id.
        found = next((each for each in driver.snapshots if each.name == name), None)
        if found is None:
            raise QMPError("snapshot not found")
        async with image.node.drained():
            await driver.delete_snapshot(found.snapshot_id, found.name)
    except (OSError, QMPError) as error:
        raise Failure(f"Could not delete snapshot '{name}': {reason(error)}") from error


def _find(driver: SupportsSnapshots, text: str) -> SnapshotInfo | None:
    """Return the snapshot of that id, or else of that name."""
    by_id = (each for each in driver.snapshots if each.snapshot_id == text)
    by_name = (each for each in driver.snapshots if each.name == text)
    return next(by_id, None) or next(by_name, None)
