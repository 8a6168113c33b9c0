"""Start jobs on drives, and steer them: ``block_stream``, ``drive_mirror``, ``drive_backup``, ``block_job_*``.

A job is called after its drive.
"""

from typing import Any

from qmpserver.errors import ParameterError
from qmpserver.machine.hmp.command import Arguments, HumanCommand, calling
from qmpserver.machine.hmp.parameters import Kind, device, flag, optional, text
from qmpserver.machine.hmp.session import HumanSession


async def _stream(session: HumanSession, arguments: Arguments) -> str:
    name = arguments["device"]
    wanted = {"job-id": name, "device": name, "speed": arguments.get("speed"), "base": arguments.get("base")}
    await session.call("block-stream", wanted)
    return ""


def _to_image(arguments: Arguments) -> dict[str, Any]:
    """Return what a copy to an image is told in any case."""
    return {
        "device": arguments["device"],
        "target": arguments["target"],
        "format": arguments.get("format"),
        "sync": "full" if arguments["full"] else "top",
        "mode": "existing" if arguments["reuse"] else "absolute-paths",
    }


async def _mirror(session: HumanSession, arguments: Arguments) -> str:
    await session.call("drive-mirror", {**_to_image(arguments), "unmap": True})
    return ""


async def _backup(session: HumanSession, arguments: Arguments) -> str:
    await session.call("drive-backup", {**_to_image(arguments), "compress": arguments["compress"]})
    return ""


async def _snapshot(session: HumanSession, arguments: Arguments) -> str:
    if "snapshot-file" not in arguments:
        raise ParameterError("Parameter 'snapshot-file' is missing")
    wanted = {
        "device": arguments["device"],
        "snapshot-file": arguments["snapshot-file"],
        "format": arguments.get("format"),
        "mode": "existing" if arguments["reuse"] else "absolute-paths",
    }
    await session.call("blockdev-snapshot-sync", wanted)
    return ""


_IMAGE = (text("target"), optional("format"))

COMMANDS = (
    HumanCommand(
        "block_job_cancel",
        calling("block-job-cancel"),
        "call a job off (-f: also one that is ready, whose target is then no copy)",
        "[-f] device",
        (flag("force", "f"), device()),
    ),
    HumanCommand(
        "block_job_complete",
        calling("block-job-complete"),
        "let a job that is ready end",
        "device",
        (device(),),
    ),
    HumanCommand("block_job_pause", calling("block-job-pause"), "let a job rest", "device", (device(),)),
    HumanCommand("block_job_resume", calling("block-job-resume"), "let a job go on", "device", (device(),)),
    HumanCommand(
        "block_job_set_speed",
        calling("block-job-set-speed"),
        "limit a job to so many bytes in a second",
        "device speed",
        (device(), text("speed", Kind.SIZE)),
    ),
    HumanCommand(
        "block_stream",
        _stream,
        "copy what lies below an image into it",
        "device [speed [base]]",
        (device(), optional("speed", Kind.SIZE), optional("base")),
    ),
    HumanCommand(
        "drive_backup",
        _backup,
        "copy a drive as it is now (-n: to an image that is there; -f: all of it; -c: compressed)",
        "[-n] [-f] [-c] device target [format]",
        (flag("reuse", "n"), flag("full", "f"), flag("compress", "c"), device(), *_IMAGE),
    ),
    HumanCommand(
        "drive_mirror",
        _mirror,
        "copy a drive, and then whatever changes (-n: to an image that is there; -f: all of it)",
        "[-n] [-f] device target [format]",
        (flag("reuse", "n"), flag("full", "f"), device(), *_IMAGE),
    ),
    HumanCommand(
        "snapshot_blkdev",
        _snapshot,
        "put an image over a drive's, which changes no more (-n: one that is there)",
        "[-n] device [new-image-file] [format]",
        (flag("reuse", "n"), device(), optional("snapshot-file"), optional("format")),
    ),
    HumanCommand(
        "snapshot_blkdev_internal",
        calling("blockdev-snapshot-internal-sync"),
        "take a snapshot inside a drive's image",
        "device name",
        (device(), text("name")),
    ),
    HumanCommand(
        "snapshot_delete_blkdev_internal",
        calling("blockdev-snapshot-delete-internal-sync"),
        "delete a snapshot inside a drive's image",
        "device name [id]",
        (device(), text("name"), optional("id")),
    ),
)
