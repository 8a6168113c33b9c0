"""Show drives, nodes, what is counted of them, and jobs: ``info block``, ``info blockstats``, ``info block-jobs``."""

from collections.abc import Iterator
from typing import Any

from qmpserver.block.info_text import image_text
from qmpserver.machine.hmp.command import Arguments, HumanCommand
from qmpserver.machine.hmp.parameters import flag, optional
from qmpserver.machine.hmp.session import HumanSession

_LIMITS = "bps bps_rd bps_wr bps_max bps_rd_max bps_wr_max iops iops_rd iops_wr iops_max iops_rd_max iops_wr_max iops_size"


async def _info_block(session: HumanSession, arguments: Arguments) -> str:
    wanted = arguments.get("device")
    is_verbose = arguments["verbose"]
    if not arguments["nodes"]:
        drives = await session.call("query-block")
        shown = "".join(
            ("\n" if drive is not drives[0] else "") + _drive_text(drive, is_verbose=is_verbose)
            for drive in drives
            if wanted in (None, drive["device"])
        )
        if shown or wanted is None:
            return shown
    nodes = await session.call("query-named-block-nodes")
    return "".join(
        ("\n" if node is not nodes[0] else "") + _drive_text(None, node, is_verbose=is_verbose)
        for node in nodes
        if wanted in (None, node["node-name"])
    )


def _drive_text(
    drive: dict[str, Any] | None, inserted: dict[str, Any] | None = None, *, is_verbose: bool
) -> str:
    inserted = drive.get("inserted") if drive is not None else inserted
    lines = [_title(drive, inserted)]
    if drive is not None:
        lines += _device_lines(drive)
    if inserted is not None:
        lines += _medium_lines(inserted)
    text = "\n".join(lines) + "\n"
    return text + (_images_text(inserted["image"]) if is_verbose and inserted is not None else "")


def _title(drive: dict[str, Any] | None, inserted: dict[str, Any] | None) -> str:
    node_name = (inserted or {}).get("node-name", "")
    if drive is not None and drive["device"]:
        name = drive["device"] + (f" ({node_name})" if node_name else "")
    else:
        name = node_name or (drive or {}).get("qdev", "") or "<anonymous>"
    if inserted is None:
        return f"{name}: [not inserted]"
    kinds = inserted["drv"] + (", read-only" if inserted["ro"] else "")
    return f"{name}: {inserted['file']} ({kinds}{', encrypted' if inserted['encrypted'] else ''})"


def _device_lines(drive: dict[str, Any]) -> Iterator[str]:
    if "qdev" in drive:
        yield f"    Attached to:      {drive['qdev']}"
    if drive["removable"]:
        lock = "" if drive["locked"] else "not "
        tray = "open" if drive.get("tray_open") else "closed"
        yield f"    Removable device: {lock}locked, tray {tray}"
    if drive.get("io-status", "ok") != "ok":
        yield f"    I/O status:       {drive['io-status']}"


def _medium_lines(inserted: dict[str, Any]) -> Iterator[str]:
    cache = inserted["cache"]
    mode = "writeback" if cache["writeback"] else "writethrough"
    direct = ", direct" if cache["direct"] else ""
    yield f"    Cache mode:       {mode}{direct}{', ignore flushes' if cache['no-flush'] else ''}"
    if "backing_file" in inserted:
        depth = inserted["backing_file_depth"]
        yield f"    Backing file:     {inserted['backing_file']} (chain depth: {depth})"
    if inserted["detect_zeroes"] != "off":
        yield f"    Detect zeroes:    {inserted['detect_zeroes']}"
    if any(inserted.get(name) for name in ("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr")):
        limits = " ".join(f"{name}={inserted.get(name, 0)}" for name in _LIMITS.split())
        yield f"    I/O throttling:   {limits} group={inserted.get('group', '')}"


def _images_text(image: dict[str, Any] | None) -> str:
    """Return the text about an image and all images below it."""
    text = "\nImages:\n"
    while image is not None:
        text += f"{image_text({'children': [], **image})}\n"
        image = image.get("backing-image")
    return text


async def _info_block_jobs(session: HumanSession, _arguments: Arguments) -> str:
    jobs = await session.call("query-block-jobs")
    return "".join(map(_job_line, jobs)) or "No active jobs\n"


def _job_line(job: dict[str, Any]) -> str:
    what = "Streaming device" if job["type"] == "stream" else f"Type {job['type']}, device"
    return (
        f"{what} {job['device']}: "
        f"Completed {job['offset']} of {job['len']} bytes, speed limit {job['speed']} bytes/s\n"
    )


_COUNTS = (("Read", "rd"), ("Write", "wr"), ("Flush", "flush"))


async def _info_blockstats(session: HumanSession, _arguments: Arguments) -> str:
    drives = await session.call("query-blockstats")
    return "\n".join(_counts(drive) for drive in drives if "device" in drive)


def _counts(drive: dict[str, Any]) -> str:
    stats = drive["stats"]
    lines = [
        f"{drive['device']}: idle_time_ns={stats.get('idle_time_ns', 0)}",
        f"{'bytes':>31} {'operations':>16} {'total_time_ns':>24} {'merged':>10}",
    ]
    for name, key in _COUNTS:
        done, time_ns = stats[f"{key}_operations"], stats[f"{key}_total_time_ns"]
        line = f"{name + ':':6}{stats.get(f'{key}_bytes', ''):>25} {done:>16} {time_ns:>24}"
        lines.append(line + (f" {stats[f'{key}_merged']:>10}" if f"{key}_merged" in stats else ""))
    return "\n".join(lines) + "\n"


COMMANDS = (
    HumanCommand(
        "block",
        _info_block,
        "show one drive, or all (-n: nodes instead; -v: in detail)",
        "[-n] [-v] [device]",
        (flag("nodes", "n"), flag("verbose", "v"), optional("device")),
    ),
    HumanCommand("block-jobs", _info_block_jobs, "show how jobs on drives go on"),
    HumanCommand("blockstats", _info_blockstats, "show what is counted of drives"),
)
