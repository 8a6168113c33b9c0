"""Write to the image: ``write``, ``writev`` and ``aio_write``."""

from qmpserver.driver_api import flags as request_flags
from qmpserver.errors import QMPError, error_text, reason
from qmpserver.io_commands.command import Command, Complaint, Remark, Words
from qmpserver.io_commands.image import Stopwatch
from qmpserver.io_commands.numbers import MAX_REQUEST, lengths, pattern_argument, size_argument
from qmpserver.io_commands.reading import check_sectors, style_of
from qmpserver.io_commands.session import Session
from qmpserver.io_commands.statistics import report

_DEFAULT_PATTERN = 0xCD


async def _write(session: Session, words: Words) -> None:
    pattern = _pattern(words)
    where, how_much = words.exactly(2)
    _refuse_contradictions(words)
    offset, count = size_argument(where), size_argument(how_much)
    if count > MAX_REQUEST and not words.has("n"):
        raise Complaint(f"length cannot exceed {MAX_REQUEST} without -n, given {how_much}")
    if words.has("b") or words.has("c"):
        check_sectors(offset, count)
    await session.let_others_begin()
    try:
        if not words.has("b"):
            session.opened.check(offset, count)
        data = None if words.has("z") else _data(words, count, pattern)
        watch = Stopwatch()
        await _store(session, words, offset, count, data)
    except (OSError, QMPError) as error:
        raise Complaint(f"write failed: {reason(error)}") from error
    report(session.say, "wrote", offset, count, watch.elapsed_ns, style=style_of(words))


def _refuse_contradictions(words: Words) -> None:
    if words.has("b") and words.has("z"):
        raise Complaint("-b and -z cannot be specified at the same time")
    if words.has("f") and (words.has("b") or words.has("c")):
        raise Complaint("-f and -b or -c cannot be specified at the same time")
    for letter in ("n", "u"):
        _refuse_without_zeroes(words, letter)
    if sum(words.has(letter) for letter in "zPs") > 1:
        raise Complaint("Only one of -z, -P, and -s can be specified at the same time")


def _refuse_without_zeroes(words: Words, letter: str) -> None:
    if words.has(letter) and not words.has("z"):
        raise Complaint(f"-{letter} requires -z to be specified")


def _data(words: Words, count: int, pattern: int) -> memoryview:
    source = words.last("s")
    if source is None:
        return memoryview(bytes([pattern]) * count)
    try:
        with open(source, "rb") as file:
            piece = file.read(count)
    except OSError as error:
        raise Remark(f"{source}: {error_text(error)}") from error
    if not piece:
        raise Remark(f"{source}: file is empty")
    return memoryview((piece * -(-count // len(piece)))[:count])


async def _store(session: Session, words: Words, offset: int, count: int, data: memoryview | None) -> None:
    image = session.opened
    if data is None:
        await image.write_zeroes(offset, count, _flags(words))
    elif words.has("b"):
        await image.vm_state.write_vm_state(offset, data)
    else:
        await image.write(offset, data, _flags(words))


def _flags(words: Words) -> int:
    flags = request_flags.FUA if words.has("f") else 0
    if words.has("z"):
        flags |= request_flags.MAY_UNMAP if words.has("u") else 0
        return flags | (request_flags.NO_FALLBACK if words.has("n") else 0)
    return flags | (request_flags.WRITE_COMPRESSED if words.has("c") else 0)


async def _writev(session: Session, words: Words) -> None:
    pattern = _pattern(words)
    where, *buffers = words.at_least(2)
    offset, count = size_argument(where), lengths(buffers)
    await session.let_others_begin()
    await _fill(session, words, offset, count, pattern=pattern, called="writev")


async def _aio_write(session: Session, words: Words) -> None:
    pattern = _pattern(words)
    if words.has("i"):
        session.say("injecting invalid write request")
        return
    where, *buffers = words.at_least(2)
    if words.has("z") and len(buffers) > 1:
        raise Complaint("-z supports only a single length parameter")
    _refuse_without_zeroes(words, "u")
    offset = size_argument(where)
    count = size_argument(buffers[0]) if words.has("z") else lengths(buffers)

    async def request() -> None:
        try:
            await _fill(session, words, offset, count, pattern=pattern, called="aio_write")
        except Complaint as complaint:
            session.say(str(complaint))

    session.begin(request())


async def _fill(
    session: Session, words: Words, offset: int, count: int, *, pattern: int, called: str
) -> None:
    """Store a pattern, or zeroes, and report."""
    image = session.opened
    watch = Stopwatch()
    try:
        image.check(offset, count)
        if words.has("z"):
            await image.write_zeroes(offset, count, _flags(words))
        else:
            await image.write(offset, memoryview(bytes([pattern]) * count), _flags(words))
    except OSError as error:
        raise Complaint(f"{called} failed: {error_text(error)}") from error
    report(session.say, "wrote", offset, count, watch.elapsed_ns, style=style_of(words))


def _pattern(words: Words) -> int:
    text = words.last("P")
    return _DEFAULT_PATTERN if text is None else pattern_argument(text)


_HELP = """\
 -C            report in a form for programs
 -f            have it on the disk when the command is done
 -P PATTERN    the byte to write, instead of 0xcd
 -q            report nothing
 -r            register the buffer first (no difference here)
"""

COMMANDS = (
    Command(
        "write",
        _write,
        "writes a range of bytes",
        alias="w",
        arguments="[-bcCfnqruz] [-P pattern | -s source_file] off len",
        letters="bcCfnpP:qrs:uz",
        least=2,
        most=None,
        writes=True,
        help=f"""\
 -b            write the machine's state instead of the disk
 -c            write compressed clusters
{_HELP} -p            nothing; older scripts give it
 -s FILE       write what is in this file, over and over
 -z            write zeroes by the cheapest means
 -n            with -z: fail if they would have to be written out
 -u            with -z: space may be given back

 Example: write 512 1k
""",
    ),
    Command(
        "writev",
        _writev,
        "writes a range of bytes from several buffers",
        arguments="[-Cfqr] [-P pattern] off len [len..]",
        letters="CfqrP:",
        least=2,
        most=None,
        writes=True,
        help=f"{_HELP}\n Example: writev 512 1k 1k\n",
    ),
    Command(
        "aio_write",
        _aio_write,
        "begins to write a range of bytes, and goes on at once",
        arguments="[-Cfiqruz] [-P pattern] off len [len..]",
        letters="CfiP:qruz",
        least=2,
        most=None,
        writes=True,
        help=f"""\
{_HELP} -i            count an invalid request instead
 -z            write zeroes by the cheapest means
 -u            with -z: space may be given back

 Example: aio_write 512 1k 1k
""",
    ),
)
