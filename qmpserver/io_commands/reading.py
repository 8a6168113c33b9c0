"""Read from the image: ``read``, ``readv`` and ``aio_read``."""

from qmpserver.errors import QMPError, error_text, reason
from qmpserver.io_commands.command import Command, Complaint, Words, WrongUse
from qmpserver.io_commands.image import Stopwatch
from qmpserver.io_commands.numbers import MAX_REQUEST, lengths, pattern_argument, size_argument
from qmpserver.io_commands.session import Session
from qmpserver.io_commands.statistics import Style, dump, report
from qmpserver.units import SECTOR_SIZE, is_aligned


async def _read(session: Session, words: Words) -> None:
    pattern = _pattern(words)
    verified = size_argument(words.last("s") or "0"), size_argument(words.last("l") or "0")
    where, how_much = words.exactly(2)
    offset, count = size_argument(where), size_argument(how_much)
    if count > MAX_REQUEST:
        raise Complaint(f"length cannot exceed {MAX_REQUEST}, given {how_much}")
    if pattern is None and (words.has("l") or words.has("s")):
        raise WrongUse
    start, length = verified if words.has("l") else (verified[0], count - verified[0])
    if length < 0 or start + length > count:
        raise Complaint("pattern verification range exceeds end of read data")
    if words.has("b"):
        check_sectors(offset, count)
    await session.let_others_begin()
    watch = Stopwatch()
    try:
        data = await _fetched(session, offset, count, from_vm_state=words.has("b"))
    except (OSError, QMPError) as error:
        raise Complaint(f"read failed: {reason(error)}") from error
    elapsed_ns = watch.elapsed_ns
    fits = _verify(session, data[start : start + length], pattern, offset + start)
    _show(session, words, offset, data, elapsed_ns)
    if not fits:
        raise Complaint


async def _fetched(session: Session, offset: int, count: int, *, from_vm_state: bool) -> memoryview:
    image = session.opened
    if not from_vm_state:
        return await image.read(offset, count)
    into = memoryview(bytearray(count))
    await image.vm_state.read_vm_state(offset, into)
    return into


async def _readv(session: Session, words: Words) -> None:
    pattern = _pattern(words)
    where, *buffers = words.at_least(2)
    offset, count = size_argument(where), lengths(buffers)
    await session.let_others_begin()
    if not await _read_and_show(session, words, offset, count, pattern):
        raise Complaint


async def _aio_read(session: Session, words: Words) -> None:
    pattern = _pattern(words)
    if words.has("i"):
        session.say("injecting invalid read request")
        return
    where, *buffers = words.at_least(2)
    offset, count = size_argument(where), lengths(buffers)

    async def request() -> None:
        try:
            await _read_and_show(session, words, offset, count, pattern)
        except Complaint as complaint:
            session.say(str(complaint))

    session.begin(request())


async def _read_and_show(
    session: Session, words: Words, offset: int, count: int, pattern: int | None
) -> bool:
    """Read and report; say whether the pattern was found."""
    watch = Stopwatch()
    try:
        data = await session.opened.read(offset, count)
    except OSError as error:
        raise Complaint(f"readv failed: {error_text(error)}") from error
    elapsed_ns = watch.elapsed_ns
    fits = _verify(session, data, pattern, offset)
    _show(session, words, offset, data, elapsed_ns)
    return fits


def _pattern(words: Words) -> int | None:
    text = words.last("P")
    return None if text is None else pattern_argument(text)


def _verify(session: Session, data: memoryview, pattern: int | None, offset: int) -> bool:
    if pattern is None or bytes(data) == bytes([pattern]) * len(data):
        return True
    session.say(f"Pattern verification failed at offset {offset}, {len(data)} bytes")
    return False


def _show(session: Session, words: Words, offset: int, data: memoryview, elapsed_ns: int) -> None:
    if words.has("q"):
        return
    if words.has("v"):
        dump(session.say, offset, data)
    report(session.say, "read", offset, len(data), elapsed_ns, style=style_of(words))


def style_of(words: Words) -> Style:
    """Return how a request is to be reported."""
    return Style(is_quiet=words.has("q"), for_machines=words.has("C"))


def check_sectors(offset: int, count: int) -> None:
    """Refuse a range that is not of whole sectors.

    Raises:
        Complaint: With the number that is wrong.
    """
    for name, number in (("offset", offset), ("count", count)):
        if not is_aligned(number, SECTOR_SIZE):
            raise Complaint(f"{number} is not a sector-aligned value for '{name}'")


_VECTOR_HELP = """\
 -C            report in a form for programs
 -P PATTERN    see that every byte read is this one
 -q            report nothing
 -r            register the buffer first (no difference here)
 -v            print what was read
"""

COMMANDS = (
    Command(
        "read",
        _read,
        "reads a range of bytes",
        alias="r",
        arguments="[-abCqrv] [-P pattern [-s off] [-l len]] off len",
        letters="bCl:pP:qrs:v",
        least=2,
        most=None,
        help=f"""\
 -b            read the machine's state instead of the disk
 -p            nothing; older scripts give it
{_VECTOR_HELP} -s OFFSET     with -P: begin to compare at this byte of what was read
 -l LENGTH     with -P: compare so many bytes

 Example: read -v 512 1k
""",
    ),
    Command(
        "readv",
        _readv,
        "reads a range of bytes into several buffers",
        arguments="[-Cqrv] [-P pattern] off len [len..]",
        letters="CP:qrv",
        least=2,
        most=None,
        help=f"{_VECTOR_HELP}\n Example: readv -v 512 1k 1k\n",
    ),
    Command(
        "aio_read",
        _aio_read,
        "begins to read a range of bytes, and goes on at once",
        arguments="[-Ciqrv] [-P pattern] off len [len..]",
        letters="CP:iqrv",
        least=2,
        most=None,
        help=f"{_VECTOR_HELP} -i            count an invalid request instead\n\n Example: aio_read -v 512 1k 1k\n",
    ),
)
