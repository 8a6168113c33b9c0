"""``img check``: check an image's structures, and repair them."""

import sys
from dataclasses import replace
from typing import Any

from qmpserver.cli.command_line import Failure, Given, expecting, table
from qmpserver.cli.images.images import Image, ImageName, Images, cache_mode
from qmpserver.cli.json_text import write_json
from qmpserver.driver_api.check_result import CheckResult
from qmpserver.driver_api.extras import CheckMode, SupportsCheck
from qmpserver.errors import QMPError, reason

OPTIONS = table(
    "f=format T=cache r=repair U=force-share q=quiet",
    {
        "format": True,
        "image-opts": False,
        "cache": True,
        "repair": True,
        "force-share": False,
        "output": True,
        "quiet": False,
    },
)

HELP = """\
Usage: {invoked} [-f FORMAT | --image-opts] [options] FILE
Check an image's structures, and repair them.

  -f, --format FORMAT   do not find out the format but take this one
  --image-opts          FILE is a list of options (key=value,...)
  -T, --cache MODE      open the image in this cache mode
  -r, --repair leaks    give back space that is lost
  -r, --repair all      repair whatever can be
  -U, --force-share     others may write the image meanwhile
  --output human|json   how to print
  -q, --quiet           print errors only
  --object OBJECT       create an object that the image needs

It ends with 0 when the image is sound, 1 when it could not be checked, 2 when it is corrupt, 3 when it
has leaks and is sound otherwise, and 63 when its format cannot be checked.
"""

_NOT_CHECKABLE = 63
_INCOMPLETE, _CORRUPT, _LEAKS = 1, 2, 3


async def run(given: Given) -> int:
    """Check the image."""
    as_json, quiet = given.wants_json, given.has("quiet")
    repair = _repair(given)
    if len(given.operands) != 1:
        expecting("one image file name")
    cache = cache_mode(given, "cache", "source cache option")
    name = ImageName.of(given, given.operands[0], cache=cache, writable=repair is not CheckMode.NONE)
    async with Images(given) as images:
        image = await images.open(name, for_check=True)
        result = await _check(image, repair)
        if result.corruptions_fixed or result.leaks_fixed:
            if not as_json and not quiet:
                print(_repaired_text(result))
            # What was repaired may have hidden something: look again at what there is now.
            fixed = (result.leaks_fixed, result.corruptions_fixed)
            result = replace(
                await _check(image, CheckMode.NONE), leaks_fixed=fixed[0], corruptions_fixed=fixed[1]
            )
        image_format = image.node.driver.format_name
    if as_json:
        print(write_json(_members(result, name.text, image_format)))
    elif not quiet:
        print(_text(result), end="")
    if result.check_errors:
        raise Failure("Check failed", status=_INCOMPLETE)
    return _status(result)


def _repair(given: Given) -> CheckMode:
    wanted = given.last("repair")
    if wanted is None:
        return CheckMode.NONE
    if wanted not in {"leaks", "all"}:
        raise Failure(f"--repair (-r) expects 'leaks' or 'all', not '{wanted}'", hint=True)
    return CheckMode(wanted)


def _tell(line: str) -> None:
    """Print what was found where errors go, in its place among what is printed elsewhere."""
    sys.stdout.flush()
    print(line, file=sys.stderr)


async def _check(image: Image, repair: CheckMode) -> CheckResult:
    driver = image.node.driver
    if not isinstance(driver, SupportsCheck):
        raise Failure("This image format does not support checks", status=_NOT_CHECKABLE)
    try:
        async with image.node.drained():
            return await driver.check(repair, _tell)
    except (OSError, QMPError) as error:
        raise Failure(f"Check failed: {reason(error)}") from error


def _status(result: CheckResult) -> int:
    if result.corruptions:
        return _CORRUPT
    if result.leaks:
        return _LEAKS
    return 0


def _members(result: CheckResult, filename: str, image_format: str) -> dict[str, Any]:
    """Shape a result as ``ImageCheck``."""
    members: dict[str, Any] = {
        "filename": filename,
        "format": image_format,
        "check-errors": result.check_errors,
    }
    optional = {
        "corruptions": result.corruptions,
        "leaks": result.leaks,
        "corruptions-fixed": result.corruptions_fixed,
        "leaks-fixed": result.leaks_fixed,
        "image-end-offset": result.image_end_offset,
        "total-clusters": result.total_clusters,
        "allocated-clusters": result.allocated_clusters,
        "fragmented-clusters": result.fragmented_clusters,
        "compressed-clusters": result.compressed_clusters,
    }
    return members | {name: value for name, value in optional.items() if value}


def _repaired_text(result: CheckResult) -> str:
    return (
        "The following inconsistencies were found and repaired:\n\n"
        f"    {result.leaks_fixed} leaked clusters\n"
        f"    {result.corruptions_fixed} corruptions\n\n"
        "Double checking the fixed image now..."
    )


def _text(result: CheckResult) -> str:
    text = _findings(result)
    if result.total_clusters and result.allocated_clusters:
        allocated = result.allocated_clusters
        text += (
            f"{allocated}/{result.total_clusters} = {100 * allocated / result.total_clusters:0.2f}% allocated, "
            f"{100 * result.fragmented_clusters / allocated:0.2f}% fragmented, "
            f"{100 * result.compressed_clusters / allocated:0.2f}% compressed clusters\n"
        )
    if result.image_end_offset:
        text += f"Image end offset: {result.image_end_offset}\n"
    return text


def _findings(result: CheckResult) -> str:
    if not (result.corruptions or result.leaks or result.check_errors):
        return "No errors were found on the image.\n"
    text = ""
    if result.corruptions:
        text += (
            f"\n{result.corruptions} errors were found on the image.\n"
            "Data may be corrupted, or further writes to the image may corrupt it.\n"
        )
    if result.leaks:
        text += (
            f"\n{result.leaks} leaked clusters were found on the image.\n"
            "This means waste of disk space, but no harm to data.\n"
        )
    if result.check_errors:
        text += f"\n{result.check_errors} internal errors have occurred during the check.\n"
    return text
