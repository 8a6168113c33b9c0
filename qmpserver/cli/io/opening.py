"""Open images by their names and options, and close them: ``open`` and ``close``."""

from qmpserver.cli.images.images import Images
from qmpserver.cli.images.opening import open_wanted
from qmpserver.cli.images.wanted import Wanted
from qmpserver.cli.io.session import ToolSession
from qmpserver.driver_api.permissions import READING, RESIZING
from qmpserver.errors import QMPError, error_text
from qmpserver.io_commands.command import Command, Complaint, Words, WrongUse
from qmpserver.io_commands.image import OpenImage
from qmpserver.io_commands.session import Session
from qmpserver.options.option_list import option_list


async def open_image(images: Images, wanted: Wanted) -> OpenImage:
    """Open an image.

    Raises:
        QMPError: It cannot be opened; nothing remains of the attempt.
    """
    if wanted.copy_on_read and wanted.read_only and not wanted.temporary:
        raise QMPError("Can't use copy-on-read on read-only device")
    async with images.engine.graph.lock:
        backend = await open_wanted(images, wanted, READING if wanted.read_only else RESIZING)
    return OpenImage(backend, backend, wanted.cache.writethrough, wanted.copy_on_read)


async def _open(session: Session, words: Words) -> None:
    assert isinstance(session, ToolSession)
    wanted = Wanted(
        read_only=words.has("r"),
        temporary=words.has("s"),
        copy_on_read=words.has("C"),
        force_share=words.has("U"),
    )
    aio = "native" if words.has("k") else words.last("i")
    cache = "none" if words.has("n") and not words.has("t") else words.last("t")
    wanted.take_modes({"cache": cache, "discard": words.last("d"), "aio": aio})
    lists = list(words.options.get("o", ()))
    if session.names_are_options:
        lists += words.operands[:1]
    elif words.operands:
        wanted.filename = words.operands[0]
    if len(words.operands) > 1 or not (lists or words.operands):
        raise WrongUse
    wanted.options = option_list(lists, session.reporter.deprecation)
    await open_in(session, wanted)


async def open_in(session: ToolSession, wanted: Wanted) -> None:
    """Open an image for further commands.

    Raises:
        Complaint: It cannot be opened, or another one is open; what there is to say has been said.
    """
    if session.image is not None:
        raise QMPError("file open already, try 'help close'")
    try:
        session.image = await open_image(session.images, wanted)
    except QMPError as error:
        device = "" if wanted.filename is None else f" device {wanted.filename}"
        session.voice.refuse(error, f"can't open{device}: ")
        raise Complaint from error


async def _close(session: Session, words: Words) -> None:
    del words
    assert isinstance(session, ToolSession)
    try:
        await session.close()
    except OSError as error:
        raise QMPError(f"could not close: {error_text(error)}") from error


COMMANDS = (
    Command(
        "open",
        _open,
        "opens an image for the commands that follow",
        alias="o",
        arguments="[-rsCnkU] [-t cache] [-d discard] [-o options] [path]",
        letters="rsnCUko:t:d:i:",
        least=1,
        most=None,
        needs_image=False,
        help="""\
 -r            read-only
 -s            keep what is written in a temporary overlay
 -C            store what is read from below
 -U            others may write the image meanwhile
 -n            bypass the host's page cache, as with -t none
 -t CACHE      the cache mode
 -d DISCARD    what discards do: ignore or unmap
 -i AIO        how the host does requests: threads, native or io_uring
 -k            as with -i native
 -o OPTIONS    options of the driver, as key=value,...

 Example: open -n -o driver=raw /tmp/data
""",
    ),
    Command("close", _close, "closes the image", alias="c"),
)
