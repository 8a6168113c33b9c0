"""``img convert``: copy images into a new one of any format."""

from typing import NamedTuple

from qmpserver.cli import option_lists
from qmpserver.cli.command_line import Answer, Failure, Given, table
from qmpserver.cli.images.images import Image, ImageName, Images, cache_mode
from qmpserver.cli.img import bitmap_copying
from qmpserver.cli.img.converter import Converter, Settings
from qmpserver.cli.img.creation import NewImage, key_secrets, make, options_of, take_backing
from qmpserver.cli.img.creation_options import creation_help
from qmpserver.cli.img.progress import Progress
from qmpserver.cli.img.snapshot_choice import load_snapshot, wanted_snapshot
from qmpserver.cli.numbers import size_of
from qmpserver.numerals import integer
from qmpserver.options.cache_modes import UNSAFE
from qmpserver.options.flat_options import Value
from qmpserver.units import SECTOR_SIZE, MiB

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
_MOST_SPARSE = 16 * MiB


async def run(given: Given) -> int:
    """Copy the images."""
    plan = _plan(given)
    async with Images(given) as images:
        sources = await _open_sources(images, given)
        await load_snapshot(plan.snapshot, sources)
        if given.has("bitmaps"):
            _check_bitmaps(given, sources)
        total = sum(source.size for source in sources)
        values: dict[str, Value] = {}
        if not given.has("no-create"):
            values = _values(given, plan, total)
            await _create(images, given, plan, values)
        target = await images.open(plan.target._replace(key_secrets=key_secrets(values)))
        _check_target(given, target, total)
        progress = Progress(is_wanted=given.has("progress") and not given.has("quiet"))
        progress.show(0, total or 1)
        nodes = [source.node for source in sources]
        settings = _settings(given, plan, target, has_backing=bool(values.get("backing_file")))
        await Converter(nodes, target.node, settings, progress, images.engine.clock).run()
        if given.has("bitmaps"):
            await bitmap_copying.copy(images.engine.graph, nodes[0], target.node, given.tool.reporter)
        progress.end()
    return 0


class _Plan(NamedTuple):
    """What the command line asks for.

    Attributes:
        target_format: The format of a new target.
        text: The options of a new target.
        target: The target, as it is opened.
        sparse_size: So many zero bytes in a row are left out.
        rate: The most bytes a second, or 0.
        snapshot: Which internal snapshot of the source, or None.
    """

    target_format: str
    text: str
    target: ImageName
    sparse_size: int
    rate: int
    snapshot: str | None


def _plan(given: Given) -> _Plan:
    """Read the options, and refuse those that do not fit together, in QEMU's order."""
    text = option_lists.join(given.all("target-format-options"))
    target_format = given.get("target-format", "raw")
    sparse_size = _sparse_size(given.last("sparse-size") or "4k")
    rate = size_of("rate limit", given.last("rate-limit") or "0")
    snapshot = wanted_snapshot(given)
    _check_parallel(given.last("parallel"))
    _refuse_contradictions(given)
    if option_lists.wants_help(text):
        named = given.operands[-1] if len(given.operands) > 1 else None
        raise Answer(creation_help(target_format, options_of(target_format), named))
    if len(given.operands) < 2:
        raise Failure("Must specify image file name")
    cache_mode(given, "source-cache", "source cache option")
    is_options = given.has("target-image-opts")
    target = ImageName(
        given.operands[-1],
        None if is_options else target_format,
        is_options,
        cache_mode(given, "target-cache", default=UNSAFE),
        writable=True,
        discard=True,
    )
    return _Plan(target_format, text, target, sparse_size, rate, snapshot)


def _sparse_size(wanted: str) -> int:
    size = size_of("buffer size for sparse output", wanted)
    if size % SECTOR_SIZE or size > _MOST_SPARSE:
        raise Failure(
            f"Invalid buffer size for sparse output specified. Valid sizes are multiples of {SECTOR_SIZE} up to "
            f"{_MOST_SPARSE}. Select 0 to disable sparse detection (fully allocates output)."
        )
    return size


def _check_parallel(wanted: str | None) -> None:
    if wanted is None:
        return
    number = integer(wanted)
    if number is None:
        raise Failure(f"Invalid number of coroutines specified: '{wanted}'")
    if not 1 <= number <= _MOST_PARALLEL:
        raise Failure(f"Invalid number of coroutines specified. Must be between 1 and {_MOST_PARALLEL}.")


def _refuse_contradictions(given: Given) -> None:
    has = given.has
    refusals = (
        (
            has("skip-broken-bitmaps") and not has("bitmaps"),
            "Use of --skip-broken-bitmaps requires --bitmaps",
        ),
        (
            has("image-opts") and has("source-format"),
            "--image-opts and --format are mutually exclusive",
        ),
        (
            has("target-image-opts") and not has("no-create"),
            "--target-image-opts requires use of -n flag",
        ),
        (
            has("target-image-opts") and has("target-format"),
            "--image-opts and --format are mutually exclusive",
        ),
        (
            has("no-create") and has("target-format-options"),
            "-o has no effect when skipping image creation",
        ),
        (
            has("target-is-zero") and not has("no-create"),
            "--target-is-zero requires use of -n flag",
        ),
        (
            has("copy-range-offloading") and has("compress"),
            "Cannot enable copy offloading when -c is used",
        ),
        (
            has("copy-range-offloading") and has("sparse-size"),
            "Cannot enable copy offloading when -S is used",
        ),
        (
            has("copy-range-offloading") and has("salvage"),
            "Cannot use copy offloading in salvaging mode",
        ),
    )
    for applies, message in refusals:
        if applies:
            raise Failure(message)


async def _open_sources(images: Images, given: Given) -> list[Image]:
    cache = cache_mode(given, "source-cache", "source cache option")
    return [
        await images.open(
            ImageName(
                name,
                given.last("source-format"),
                given.has("image-opts"),
                cache,
                force_share=given.has("force-share"),
            )
        )
        for name in given.operands[:-1]
    ]


def _check_bitmaps(given: Given, sources: list[Image]) -> None:
    if len(sources) > 1:
        raise Failure("Copying bitmaps only possible with single source")
    bitmap_copying.check(sources[0].node, skips_broken=given.has("skip-broken-bitmaps"))


def _settings(given: Given, plan: _Plan, target: Image, *, has_backing: bool) -> Settings:
    is_new = not given.has("no-create")
    return Settings(
        is_compressed=given.has("compress"),
        sparse_size=plan.sparse_size,
        is_zero=given.has("target-is-zero") or (is_new and target.node.driver.reads_zero_when_new),
        keeps_backing=has_backing,
        salvage=given.has("salvage"),
        rate=plan.rate,
        write_flags=target.write_flags,
    )


async def _create(images: Images, given: Given, plan: _Plan, values: dict[str, Value]) -> None:
    """Make the target."""
    filename, image_format = plan.target.text, plan.target_format
    if values.get("backing_file") and "backing_fmt" not in values:
        raise Failure("Use of backing file requires explicit backing format")
    if given.has("compress"):
        if image_format != "qcow2":
            raise Failure("Compression not supported for this file format")
        if values.get("encryption") or "encrypt.format" in values:
            raise Failure("Compression and encryption not supported at the same time")
        if values.get("preallocation", "off") != "off":
            raise Failure("Compression and preallocation not supported at the same time")
    about = f"{filename}: error while converting {image_format}: "
    await make(images.engine, NewImage(filename, image_format, values), about)


def _values(given: Given, plan: _Plan, total: int) -> dict[str, Value]:
    """Return the options that the target is made with."""
    options = options_of(plan.target_format)
    kinds = {option.name: option.kind for option in options}
    values: dict[str, Value] = option_lists.read(plan.text, kinds, "")
    take_backing(given, values, plan.target_format)
    values.setdefault("size", total)
    return values


def _check_target(given: Given, target: Image, total: int) -> None:
    if target.size < total:
        raise Failure("output file is smaller than input file")
    if given.has("compress") and target.node.driver.format_name != "qcow2":
        raise Failure("Compression not supported for this file format")
    if given.has("bitmaps"):
        bitmap_copying.check_target(target.node)
