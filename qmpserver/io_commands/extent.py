"""How large the image is, what it holds, and what it shall no longer hold.

The commands ``length``, ``truncate``, ``map``, ``alloc``, ``discard``, ``aio_discard``, ``flush`` and ``aio_flush``.
"""

from qmpserver.block import chain
from qmpserver.block.node import Node
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.errors import QMPError, error_text
from qmpserver.io_commands.command import Command, Complaint, Words
from qmpserver.io_commands.image import Stopwatch
from qmpserver.io_commands.numbers import MAX_REQUEST, size_argument, size_text
from qmpserver.io_commands.reading import style_of
from qmpserver.io_commands.session import Session
from qmpserver.io_commands.statistics import report
from qmpserver.units import SECTOR_SIZE


async def _length(session: Session, words: Words) -> None:
    del words
    session.say(size_text(session.opened.node.size))


async def _truncate(session: Session, words: Words) -> None:
    mode = words.last("m") or "off"
    if mode not in {each.value for each in Preallocation}:
        raise QMPError(f"Invalid preallocation mode '{mode}'")
    # QEMU: it does not mind further words.
    size = size_argument(words.at_least(1)[0])
    try:
        await session.opened.node.truncate(size, Preallocation(mode))
    except OSError as error:
        raise QMPError(error.strerror or error_text(error)) from error


async def _map(session: Session, words: Words) -> None:
    del words
    node = session.opened.node
    offset = 0
    while offset < node.size:
        try:
            is_allocated, length = await _run_at(node, offset, node.size - offset)
        except OSError as error:
            raise Complaint(f"Failed to get allocation status: {error_text(error)}") from error
        what = "    allocated" if is_allocated else "not allocated"
        session.say(
            f"{size_text(length)} ({length:#x}) bytes {what} at offset {size_text(offset)} ({offset:#x})"
        )
        offset += length


async def _run_at(node: Node, offset: int, length: int) -> tuple[bool, int]:
    """Return what all of a run has in common, and how long that run is."""
    is_allocated, run = await _allocated(node, offset, length)
    while run < length:
        further, more = await _allocated(node, offset + run, length - run)
        if further is not is_allocated:
            break
        run += more
    return is_allocated, run


async def _allocated(node: Node, offset: int, length: int) -> tuple[bool, int]:
    return await chain.is_allocated(chain.skip_filters(node), offset, length)


async def _alloc(session: Session, words: Words) -> None:
    where, how_much = [*words.operands, str(SECTOR_SIZE)][:2]
    node = session.opened.node
    offset, count = size_argument(where), size_argument(how_much)
    count = max(min(count, node.size - offset), 0)
    done = found = 0
    while done < count:
        try:
            is_allocated, length = await _allocated(node, offset + done, count - done)
        except OSError as error:
            raise Complaint(f"is_allocated failed: {error_text(error)}") from error
        done += length
        found += length if is_allocated else 0
    session.say(f"{found}/{count} bytes allocated at offset {size_text(offset)}")


async def _discard(session: Session, words: Words) -> None:
    where, how_much = words.exactly(2)
    offset, count = size_argument(where), size_argument(how_much)
    if count > MAX_REQUEST:
        raise Complaint(f"length cannot exceed {MAX_REQUEST}, given {how_much}")
    await session.let_others_begin()
    await _drop(session, words, offset, count, what="discard", called="discard")


async def _aio_discard(session: Session, words: Words) -> None:
    where, how_much = words.exactly(2)
    offset, count = size_argument(where), size_argument(how_much)

    async def request() -> None:
        try:
            # QEMU: two blanks follow the word.
            await _drop(session, words, offset, count, what="discarded ", called="aio_discard")
        except Complaint as complaint:
            session.say(str(complaint))

    session.begin(request())


async def _drop(session: Session, words: Words, offset: int, count: int, *, what: str, called: str) -> None:
    watch = Stopwatch()
    try:
        await session.opened.requests.pdiscard(offset, count)
    except OSError as error:
        raise Complaint(f"{called} failed: {error_text(error)}") from error
    report(session.say, what, offset, count, watch.elapsed_ns, style=style_of(words))


async def _flush(session: Session, words: Words) -> None:
    del words
    try:
        await session.opened.requests.flush()
    except OSError as error:
        # QEMU: it says nothing, and only its exit status tells.
        raise Complaint from error


async def _aio_flush(session: Session, words: Words) -> None:
    del words
    await session.settle()


_DISCARD_HELP = """\
 -C            report in a form for programs
 -q            report nothing
"""

COMMANDS = (
    Command("length", _length, "prints the size of the image", alias="l"),
    Command(
        "truncate",
        _truncate,
        "changes the size of the image",
        alias="t",
        arguments="[-m prealloc_mode] off",
        letters="m:",
        least=1,
        most=3,
        writes=True,
    ),
    Command("map", _map, "prints which parts the image itself holds", arguments=""),
    Command(
        "alloc",
        _alloc,
        "says how much of a range the image itself holds",
        alias="a",
        arguments="offset [count]",
        least=1,
        most=2,
    ),
    Command(
        "discard",
        _discard,
        "gives the space of a range back",
        alias="d",
        arguments="[-Cq] off len",
        letters="Cq",
        least=2,
        most=None,
        writes=True,
        help=f"{_DISCARD_HELP}\n Example: discard 512 1k\n",
    ),
    Command(
        "aio_discard",
        _aio_discard,
        "begins to give the space of a range back, and goes on at once",
        arguments="[-Cq] off len",
        letters="Cq",
        least=2,
        most=None,
        writes=True,
        help=f"{_DISCARD_HELP}\n Example: aio_discard 512 1k\n",
    ),
    Command("flush", _flush, "brings what was written to the disk", alias="f"),
    Command("aio_flush", _aio_flush, "waits until all requests have ended"),
)
