"""Stop requests on their way: ``break``, ``remove_break``, ``resume`` and ``wait_break``.

The ``blkdebug`` filter next below the top does it.
"""

import errno
import os

from qmpserver.drivers.blkdebug.driver import BlkdebugDriver
from qmpserver.errors import QMPError
from qmpserver.io_commands.command import Command, Complaint, Words
from qmpserver.io_commands.session import Session

_NOT_THERE = os.strerror(errno.ENOENT)
_NOT_SUPPORTED = os.strerror(errno.ENOTSUP)


def _need(session: Session, failed: str) -> BlkdebugDriver:
    driver = session.opened.breakpoints
    if driver is None:
        raise Complaint(f"{failed}: {_NOT_SUPPORTED}")
    driver.tell = lambda text: session.say(f"blkdebug: {text}")
    return driver


async def _break(session: Session, words: Words) -> None:
    event, tag = words.operands
    failed = "Could not set breakpoint"
    try:
        _need(session, failed).add_breakpoint(event, tag)
    except QMPError as error:
        raise Complaint(f"{failed}: {_NOT_THERE}") from error


async def _remove_break(session: Session, words: Words) -> None:
    (tag,) = words.operands
    failed = f"Could not remove breakpoint {tag}"
    if not _need(session, failed).remove_breakpoint(tag):
        # QEMU: also when a request waited there, which goes on all the same.
        raise Complaint(f"{failed}: {_NOT_THERE}")


async def _resume(session: Session, words: Words) -> None:
    (tag,) = words.operands
    failed = "Could not resume request"
    if not _need(session, failed).resume(tag):
        raise Complaint(f"{failed}: {_NOT_THERE}")


async def _wait_break(session: Session, words: Words) -> None:
    (tag,) = words.operands
    # QEMU: waits for ever where there are no breakpoints.
    await _need(session, "Could not wait for a breakpoint").until_suspended(tag)


COMMANDS = (
    Command(
        "break",
        _break,
        "stops the next request that meets an event, under the name of a tag",
        arguments="event tag",
        least=2,
        most=2,
    ),
    Command("remove_break", _remove_break, "takes a breakpoint away", arguments="tag", least=1, most=1),
    Command("resume", _resume, "lets a stopped request go on", arguments="tag", least=1, most=1),
    Command("wait_break", _wait_break, "waits until a request is stopped", arguments="tag", least=1, most=1),
)
