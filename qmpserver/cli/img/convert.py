"""``img convert``: copy images into a new one of any format."""

import errno

from qmpserver.cli.flat_options import Kind, Value
from qmpserver.cli.flat_options import parse as parse_flat
from qmpserver.cli.img import option_lists
from qmpserver.cli.img.cache_modes import UNSAFE
from qmpserver.cli.img.command_line import Answer, Failure, Given, table
from qmpserver.cli.img.converter import Converter, Settings
from qmpserver.cli.img.creation import NewImage, make, options_of
from qmpserver.cli.img.creation_options import options_help
from qmpserver.cli.img.images import Image, ImageName, Images, cache_mode
from qmpserver.cli.img.numbers import integer, size_of
from qmpserver.cli.img.progress import Progress
from qmpserver.driver_api.extras import SupportsSnapshots
from qmpserver.errors import QMPError, error_text
from qmpserver.units import SECTOR_SIZE, align_down

OPTIONS = table(
    "f=source-format T=source-cache l=snapshot O=target-format o=target-format-options t=target-cache "
    "b=backing B=backing F=backing-format S=sparse-size n=no-create c=compress U=force-share r=rate-limit "
    "m=parallel C=copy-range-offloading W=oob-writes p=progress q=quiet",
    {
        "source-format": True,
        "image-opts": False,
        "source-cache": True,
        "snapshot": True,
        "bitmaps": False,
        "skip-broken-bitmaps": False,
        "salvage": False,
        "target-format": True,
        "target-image-opts": False,
        "target-format-options": True,
        "target-cache": True,
        "backing": True,
        "backing-format": True,
        "sparse-size": True,
        "no-create": False,
        "target-is-zero": False,
        "compress": False,
        "force-share": False,
        "rate-limit": True,
        "parallel": True,
        "copy-range-offloading": False,
        "oob-writes": False,
        "progress": False,
        "quiet": False,
    },
)

HELP = """\
Usage: {invoked} [-f FORMAT | --image-opts] [-O FORMAT] [options] SOURCE... TARGET
Copy images, one behind the other, into a new one.

  -f, --source-format FORMAT           do not find out the sources' format but take this one
  --image-opts                         each SOURCE is a list of options (key=value,...)
  -T, --source-cache MODE              open the sources in this cache mode
  -l, --snapshot SNAPSHOT              copy this internal snapshot of the source
  --salvage                            make zeroes of what cannot be read
  -O, --target-format FORMAT           make the target of this format (raw when not given)
  --target-image-opts                  TARGET is a list of options (key=value,...)
  -o, --target-format-options OPTIONS  options for the target; "-o help" lists them
  -t, --target-cache MODE              write the target in this cache mode (unsafe when not given)
  -b, --backing FILE                   let the target lie over this image
  -F, --backing-format FORMAT          its format
  -S, --sparse-size SIZE               leave out so many zeroes in a row (4k when not given; 0: none)
  -n, --no-create                      the target is there already
  --target-is-zero                     and it reads as zeroes
  -c, --compress                       store data compressed
  -U, --force-share                    others may write the sources meanwhile
  -r, --rate-limit RATE                move no more bytes than this in a second
  -m, --parallel COUNT, -C, -W         accepted; data is always moved in parallel, by the kernel where it can
  -p, --progress                       show how far it has come
  -q, --quiet                          print errors only
  --object OBJECT                      create an object that the images need
"""

_MOST_PARALLEL = 16
_SNAPSHOT_KEYS = {"snapshot.id": Kind.STRING, "snapshot.name": Kind.STRING}


async def run(given: Given) -> int:
    """Copy the images."""
    text = option_lists.join(given.all("target-format-options"))
    target_format = given.last("target-format") or "raw"
    _refuse_contradictions(given)
    if option_lists.wants_help(text):
        raise Answer(options_help(options_of(target_format), "Supported options:"))
    if len(given.operands) < 2:
        raise Failure("Must specify image file name")
    *source_names, target_name = given.operands
    sparse_size = align_down(
        size_of("buffer size for sparse output", given.last("sparse-size") or "4k"), SECTOR_SIZE
    )
    rate = size_of("rate limit", given.last("rate-limit") or "0")
    source_cache = cache_mode(given, "source-cache", "source cache option")
    target_cache = cache_mode(given, "target-cache", default=UNSAFE)
    async with Images(given) as images:
        sources = [
            await images.open(
                ImageName(
                    name,
                    given.last("source-format"),
                    given.has("image-opts"),
                    source_cache,
                    force_share=given.has("force-share"),
                )
            )
            for name in source_names
        ]
        await _load_snapshot(given, sources)
        total = sum(source.size for source in sources)
        has_backing = False
        if not given.has("no-create"):
            has_backing = await _create(images, given, target_name, target_format, text=text, total=total)
        name = ImageName(
            target_name,
            None if given.has("target-image-opts") else target_format,
            given.has("target-image-opts"),
            target_cache,
            writable=True,
            discard=True,
        )
        target = await images.open(name)
        _check_target(given, target, total)
        is_new = not given.has("no-create")
        progress = Progress(is_wanted=given.has("progress") and not given.has("quiet"))
        settings = Settings(
            is_compressed=given.has("compress"),
            sparse_size=sparse_size,
            is_zero=given.has("target-is-zero") or (is_new and target.node.driver.reads_zero_when_new),
            keeps_backing=has_backing,
            salvage=given.has("salvage"),
            rate=rate,
            write_flags=target.write_flags,
        )
        progress.show(0, total or 1)
        nodes = [source.node for source in sources]
        await Converter(nodes, target.node, settings, progress, images.engine.clock).run()
        progress.end()
    return 0


def _refuse_contradictions(given: Given) -> None:
    if given.has("bitmaps"):
        raise Failure("--bitmaps is not supported yet")
    if given.has("skip-broken-bitmaps"):
        raise Failure("Use of --skip-broken-bitmaps requires --bitmaps")
    parallel = given.last("parallel")
    if parallel is not None and not 1 <= (integer(parallel) or 0) <= _MOST_PARALLEL:
        raise Failure(f"Invalid number of coroutines specified. Must be between 1 and {_MOST_PARALLEL}.")
    if given.has("copy-range-offloading") and given.has("compress"):
        raise Failure("Cannot enable copy offloading when -c is used")
    if given.has("copy-range-offloading") and given.has("sparse-size"):
        raise Failure("Cannot enable copy offloading when -S is used")
    if given.has("target-is-zero") and not given.has("no-create"):
        raise Failure("--target-is-zero requires use of -n flag")


async def _load_snapshot(given: Given, sources: list[Image]) -> None:
    wanted = given.last("snapshot")
    if wanted is None:
        return
    if len(sources) > 1:
        raise Failure("No support for concatenating multiple snapshot")
    driver = sources[0].node.driver
    try:
        if not isinstance(driver, SupportsSnapshots):
            raise QMPError(f"Device '{sources[0].node.node_name}' does not internally support snapshots")
        if wanted.startswith("snapshot."):
            values = parse_flat(wanted, _SNAPSHOT_KEYS, None, lambda _what, _instead: None).values
            snapshot_id, name = values.get("snapshot.id"), values.get("snapshot.name")
            await driver.load_snapshot(
                None if snapshot_id is None else str(snapshot_id), None if name is None else str(name)
            )
        else:
            by_id = any(snapshot.snapshot_id == wanted for snapshot in driver.snapshots)
            await driver.load_snapshot(wanted if by_id else None, None if by_id else wanted)
    except (OSError, QMPError) as error:
        reason = error_text(error) if isinstance(error, OSError) else error.description
        if isinstance(error, OSError) and error.errno == errno.ENOENT:
            reason = "Can't find snapshot"
        raise Failure(f"Failed to load snapshot: {reason}") from error


async def _create(
    images: Images, given: Given, filename: str, image_format: str, *, text: str, total: int
) -> bool:
    """Make the target; say whether it lies over another image."""
    options = options_of(image_format)
    kinds = {option.name: option.kind for option in options}
    values: dict[str, Value] = option_lists.read(text, kinds, "")
    for option, key in (("backing", "backing_file"), ("backing-format", "backing_fmt")):
        wanted = given.last(option)
        if wanted is not None:
            if key not in kinds:
                raise Failure(f"Backing file not supported for file format '{image_format}'")
            values[key] = wanted
    values.setdefault("size", total)
    has_backing = bool(values.get("backing_file"))
    if has_backing and "backing_fmt" not in values:
        raise Failure("Use of backing file requires explicit backing format")
    if given.has("compress"):
        if image_format != "qcow2":
            raise Failure("Compression not supported for this file format")
        if values.get("preallocation", "off") != "off":
            raise Failure("Compression and preallocation not supported at the same time")
    await make(
        images.engine,
        NewImage(filename, image_format, values),
        f"{filename}: error while converting {image_format}: ",
    )
    return has_backing


def _check_target(given: Given, target: Image, total: int) -> None:
    if target.size < total:
        raise Failure("output file is smaller than input file")
    if given.has("compress") and target.node.driver.format_name != "qcow2":
        raise Failure("Compression not supported for this file format")
