"""``img bitmap``: change the dirty bitmaps that an image holds."""

from qmpserver import transaction
from qmpserver.block import bitmap_actions
from qmpserver.block.bitmap_actions import NewBitmap
from qmpserver.block.bitmap_lookup import find
from qmpserver.block.draining import run_drained
from qmpserver.block.node import Node
from qmpserver.cli.command_line import Failure, Given, refuse_both, table
from qmpserver.cli.images.images import Image, ImageName, Images
from qmpserver.cli.numbers import size_of
from qmpserver.errors import QMPError
from qmpserver.transaction import TransactionAction

OPTIONS = table(
    "f=format g=granularity b=source-file F=source-format",
    {
        "format": True,
        "image-opts": False,
        "add": False,
        "granularity": True,
        "remove": False,
        "remove-all": False,
        "clear": False,
        "enable": False,
        "disable": False,
        "merge": True,
        "source-file": True,
        "source-format": True,
    },
)

HELP = """\
Usage: {invoked} [-f FORMAT | --image-opts] ACTION... [options] FILE [BITMAP]
Change the dirty bitmaps that an image holds.  Actions are carried out in the order given, up to the first that fails.

  --add                        make BITMAP, which records writes from now on
  --remove                     remove BITMAP
  --remove-all                 remove all bitmaps; BITMAP is not named then
  --clear                      forget what BITMAP has recorded
  --enable, --disable          let BITMAP record writes, or not
  --merge SOURCE               add to BITMAP what the bitmap SOURCE has recorded
  -f, --format FORMAT          do not find out the format but take this one
  --image-opts                 FILE is a list of options (key=value,...)
  -g, --granularity SIZE       bytes that share a bit of what is added
  -b, --source-file FILE       where SOURCE is, if not in FILE
  -F, --source-format FORMAT   the format of that
  --object OBJECT              create an object that the image needs
"""

_ACTIONS = ("add", "remove", "remove-all", "clear", "enable", "disable", "merge")
_MOST_GRANULARITY = (1 << 32) - 1


async def run(given: Given) -> int:
    """Carry out the actions."""
    refuse_both(given, "image-opts", "format")
    actions = [(name, value) for name, value in given.order if name in _ACTIONS]
    granularity = size_of("granularity", given.last("granularity") or "0")
    _check(given, actions, granularity)
    filename, *names = given.operands
    async with Images(given) as images:
        image = await images.open(ImageName.of(given, filename, writable=True))
        source = image
        source_file = given.last("source-file")
        if source_file is not None:
            source = await images.open(ImageName(source_file, given.last("source-format")))
        for action, value in actions:
            if action == "remove-all":
                await _remove_all(images, image.node)
                continue
            try:
                await _carry_out(
                    images, image, action, names[0], granularity=granularity, merged=(source, value)
                )
            except QMPError as error:
                message = f"Operation {action} on bitmap {names[0]} failed: {error.description}"
                raise Failure(message) from error
    return 0


def _check(given: Given, actions: list[tuple[str, str]], granularity: int) -> None:
    """Refuse options that do not fit together, in QEMU's order."""
    if not actions:
        known = ", ".join(f"--{name}" for name in _ACTIONS[:-1])
        raise Failure(f"Need at least one of {known}, or --{_ACTIONS[-1]}")
    if granularity and not given.has("add"):
        raise Failure("granularity only supported with --add")
    if given.has("source-format") and not given.has("source-file"):
        raise Failure("-F only supported with -b")
    if given.has("source-file") and not given.has("merge"):
        raise Failure("Merge bitmap source file only supported with --merge")
    needs_name = any(name != "remove-all" for name, _ in actions)
    if len(given.operands) != 1 + needs_name:
        raise Failure("Expecting filename and bitmap name" if needs_name else "Expecting filename")


async def _carry_out(
    images: Images, image: Image, action: str, name: str, *, granularity: int, merged: tuple[Image, str]
) -> None:
    """Carry out one action on the bitmap of that name.

    Raises:
        QMPError: It cannot be done; nothing has changed.
    """
    graph, node = images.engine.graph, image.node
    step: TransactionAction
    if action == "add":
        if granularity > _MOST_GRANULARITY:
            raise QMPError("Granularity must be power of 2 and at least 512")
        wanted = NewBitmap(name, granularity or None, is_persistent=True)
        step = bitmap_actions.AddBitmap(node, wanted)
    elif action == "merge":
        source, source_name = merged
        step = bitmap_actions.MergeBitmaps(
            graph, (node.node_name, name), [(source.node.node_name, source_name)]
        )
    else:
        _, bitmap = find(graph, node.node_name, name)
        if action == "remove":
            step = bitmap_actions.RemoveBitmap(node, bitmap)
        elif action == "clear":
            step = bitmap_actions.ClearBitmap(bitmap)
        else:
            step = bitmap_actions.SwitchBitmap(bitmap, is_enabled=action == "enable")
    await _take(step, images, node)


async def _take(step: TransactionAction, images: Images, node: Node) -> None:
    async with images.engine.graph.lock:
        await run_drained([node], lambda: transaction.run([step]))


async def _remove_all(images: Images, node: Node) -> None:
    for bitmap in list(node.dirty_bitmaps):
        try:
            await _take(bitmap_actions.RemoveBitmap(node, bitmap), images, node)
        except QMPError as error:
            raise Failure(f"Failed to remove bitmap '{bitmap.name}': {error.description}") from error
