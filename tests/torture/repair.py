"""Check and repair a damaged image here and by ``qemu-img check``, and compare what is counted."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from qmpserver.driver_api.check_result import CheckResult
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.extras import CheckMode
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.errors import QMPError
from tests.contract.engine import MemoryFile
from tests.torture.files import ImageFiles
from tests.torture.fuzz import Mutation
from tests.torture.peer import qemu_check
from tests.torture.specimens import SECRETS, Specimen

Counts = dict[str, Any]
OPTIONS: dict[CheckMode, tuple[str, ...]] = {
    CheckMode.NONE: (),
    CheckMode.LEAKS: ("-r", "leaks"),
    CheckMode.ALL: ("-r", "all"),
}
_FINDINGS = ("corruptions", "leaks", "check-errors")


class Outcome(NamedTuple):
    """What was counted, None where it was given up; and what is wrong with the image afterwards."""

    counts: Counts | None
    left: Counts | None


def our_check(specimen: Specimen, data: bytes | bytearray, fix: CheckMode) -> tuple[Counts | None, bytearray]:
    """Check, and again after anything was repaired; return what is not zero, and the image."""
    children = specimen.children(file=data)

    async def check(fix: CheckMode) -> CheckResult:
        context = specimen.context(children, read_only=fix is CheckMode.NONE)
        return await (await Qcow2Driver.open_for_check(context)).check(fix)

    async def run() -> CheckResult:
        result = await check(fix)
        fixed = result.corruptions_fixed, result.leaks_fixed
        if any(fixed):
            result = await check(CheckMode.NONE)
            result.corruptions_fixed, result.leaks_fixed = fixed
        return result

    counts = None
    try:
        result = asyncio.run(run())
        counts = {name.replace("_", "-"): value for name, value in asdict(result).items() if value}
    except (OSError, QMPError):
        pass
    return counts, _data(children["file"])


def _data(child: BlockChild) -> bytearray:
    assert isinstance(child, MemoryFile)
    return child.data


def their_check(
    specimen: Specimen, data: bytes | bytearray, fix: CheckMode, folder: Path
) -> tuple[Counts | None, bytearray]:
    """Have ``qemu-img`` do the same."""
    files = ImageFiles(is_external="data-file" in specimen.files, backing=specimen.backing)
    for name, file in files.files.items():
        file.data = bytearray(data if name == "file" else specimen.files[name])
    counts = qemu_check(folder, files, specimen.method, SECRETS["s"].decode(), *OPTIONS[fix])
    return counts, files.files["file"].data


def difference(mutation: Mutation, fix: CheckMode, folder: Path) -> str | None:
    """Check or repair a damaged image in both ways; say how they differ, None if not at all.

    The end of the image is not compared when counts were stored anew: each puts them where it likes.
    """
    specimen = mutation.specimen
    ours, repaired = our_check(specimen, mutation.data, fix)
    theirs, repaired_by_them = their_check(specimen, mutation.data, fix, folder)
    if theirs is None and fix is not CheckMode.NONE:
        # It gives up where counts must be stored anew and that is not asked for, or where it would write over
        # a structure: here the one is said, and the other left.
        return None
    if theirs is None or ours is None:
        return None if ours is theirs else f"{fix.name}: ours {ours}, theirs {theirs}"
    if fix is CheckMode.ALL:
        for counts in (ours, theirs):
            counts.pop("image-end-offset", None)
    if ours != theirs:
        return f"{fix.name}: ours {_differing(ours, theirs)}, theirs {_differing(theirs, ours)}"
    if fix is CheckMode.NONE:
        return None
    left = {
        "ours by us": our_check(specimen, repaired, CheckMode.NONE)[0],
        "ours by them": their_check(specimen, repaired, CheckMode.NONE, folder)[0],
        "theirs by us": our_check(specimen, repaired_by_them, CheckMode.NONE)[0],
    }
    wrong = {name: _findings(counts) for name, counts in left.items()}
    if any(counts != _findings(ours) for counts in wrong.values()):
        return f"{fix.name}: left {wrong}, said {_findings(ours)}"
    return None


def _findings(counts: Counts | None) -> Counts | None:
    return None if counts is None else {name: counts[name] for name in _FINDINGS if name in counts}


def _differing(counts: Counts, others: Counts) -> Counts:
    return {name: counts.get(name, 0) for name in {*counts, *others} if counts.get(name) != others.get(name)}
