"""Change the options of the open image: ``reopen``."""

from typing import Any

from qmpserver.block import permissions, reopening
from qmpserver.block.node import Node
from qmpserver.block.reopen_options import CHANGEABLE, flatten
from qmpserver.block.reopen_queue import ReopenQueue
from qmpserver.driver_api.permissions import READING, RESIZING
from qmpserver.errors import QMPError
from qmpserver.io_commands.command import Command, Words, WrongUse
from qmpserver.io_commands.image import OpenImage
from qmpserver.io_commands.session import Session
from qmpserver.options.cache_modes import cache_mode
from qmpserver.options.option_list import nested, option_list
from qmpserver.schema.model import Schema


async def _reopen(session: Session, words: Words) -> None:
    modes = len(words.options.get("r", ())) + len(words.options.get("w", ()))
    if modes > 1:
        raise QMPError("Only one -r/-w option may be given")
    cache = words.last("c")
    mode = None if cache is None else cache_mode(cache)
    if words.operands:
        raise WrongUse
    options = option_list(words.options.get("o", ()), session.voice.warn)
    if modes:
        if "read-only" in options:
            raise QMPError("Cannot set both -r/-w and 'read-only'")
        options["read-only"] = words.has("r")
    if mode is not None:
        if "cache.direct" in options or "cache.no-flush" in options:
            raise QMPError("Cannot set both -c and the cache options")
        options |= {f"cache.{name}": value for name, value in mode.options.items()}
    image = session.opened
    async with session.graph.lock:
        await _reopen_node(
            session, image, _typed(session.schema, image.node, options), gives_up=words.has("r")
        )
    if mode is not None:
        image.writethrough = mode.writethrough


async def _reopen_node(
    session: Session, image: OpenImage, options: dict[str, Any], *, gives_up: bool
) -> None:
    """Reopen, and hold afterwards what the image can be used for."""
    root = image.backend.root
    assert root is not None
    held = root.permissions
    if gives_up:
        root.permissions = READING
    queue = ReopenQueue()
    queue.add(image.node, options, keeps=True)
    try:
        await reopening.reopen(session.graph, queue)
    except BaseException:
        root.permissions = held
        raise
    root.permissions = READING if image.node.read_only else RESIZING
    await permissions.refresh((image.node,))


def _typed(schema: Schema, node: Node, options: dict[str, Any]) -> dict[str, Any]:
    """Convert the values of options from strings.

    Raises:
        QMPError: One is of another type; an option that there is not is left to whoever looks at it later.
    """
    typed = dict(options)
    described = schema.type("BlockdevOptions")
    needed = {
        name: edge.node.node_name
        for name, edge in node.children.items()
        if "." not in name and name != "backing"
    }
    for name, value in options.items():
        if name.partition(".")[0] not in node.driver.changeable_options and name not in CHANGEABLE:
            continue
        members = {**needed, **nested({name: value}), "driver": node.driver.format_name}
        try:
            typed[name] = flatten(described.from_image(members))[name]
        except QMPError as error:
            raise _in_its_words(name, str(value), error) from error
    return typed


def _in_its_words(name: str, value: str, error: QMPError) -> QMPError:
    if name == "detect-zeroes":
        return QMPError(f"invalid parameter value: {value}")
    if "boolean" in error.description:
        return QMPError(f"Parameter '{name}' expects 'on' or 'off'")
    return error


COMMANDS = (
    Command(
        "reopen",
        _reopen,
        "changes the options of the open image",
        arguments="[(-r|-w)] [-c cache] [-o options]",
        letters="c:o:rw",
        most=None,
        help="""\
 -r            make it read-only
 -w            make it writable
 -c CACHE      change the cache mode
 -o OPTIONS    change options of the driver, as key=value,...

 Example: reopen -o lazy-refcounts=on
""",
    ),
)
