"""Run lines that come from a file or a pipe, for scripts."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TextIO

from qmpserver.shell.client import Message
from qmpserver.shell.explanation import Explanation
from qmpserver.shell.link import Link
from qmpserver.shell.screen import Screen, as_json
from qmpserver.shell.shell import Outcome, Shell, Style

_CHUNK = 1 << 16


class PlainScreen(Screen):
    """Write messages to standard output, and all else to standard error.

    Args:
        pretty: Messages take several lines each.
    """

    def __init__(self, *, pretty: bool = False) -> None:
        self._pretty = pretty

    def message(self, message: Message) -> None:
        """Write a message."""
        _write(sys.stdout, as_json(message, pretty=self._pretty) + "\n")

    def text(self, text: str) -> None:
        """Write what a command has written for a person."""
        _write(sys.stdout, text.replace("\r\n", "\n"))

    def note(self, text: str) -> None:
        """Write what has happened."""
        _write(sys.stderr, text + "\n")

    def complaint(self, text: str) -> None:
        """Write what is wrong."""
        _write(sys.stderr, text + "\n")

    def explanation(self, explanation: Explanation) -> None:
        """Write help."""
        lines = [explanation.title, "", explanation.text, ""]
        lines += [f"  {row.name} ({row.type}): {row.note}" for row in explanation.rows]
        _write(sys.stdout, "\n".join(lines).rstrip() + "\n")


def _write(to: TextIO, text: str) -> None:
    to.write(text)
    to.flush()


async def run_plainly(
    link: Link, screen: Screen, style: Style, lines: Iterable[str], *, stops_at_failure: bool
) -> int:
    """Run lines, each when the one before it has its reply, until they end or the server has gone.

    Args:
        link: The open way to the server.
        screen: Where all is shown.
        style: How.
        lines: The lines.
        stops_at_failure: The first line that fails is the last.

    Returns:
        0 when all lines were good, else 1.
    """
    shell = Shell(link, screen, style)
    status = 0
    async for line in _read(lines):
        match await shell.run(line):
            case Outcome.LEAVE:
                return status
            case Outcome.LOST:
                return 1
            case Outcome.FAILED if stops_at_failure:
                return 1
            case Outcome.FAILED:
                status = 1
    if shell.is_in_transaction:
        screen.complaint("The transaction is not closed")
        return 1
    return status


async def _read(lines: Iterable[str]) -> AsyncIterator[str]:
    """Give lines as they come, with the loop free to show events meanwhile.

    A thread reads, for a file cannot be waited for.  It reads a line when that is wanted and no sooner.
    """
    loop = asyncio.get_running_loop()
    wanted, arrived = threading.Semaphore(0), asyncio.Queue[str | None]()

    def read() -> None:
        iterator = iter(lines)
        while wanted.acquire():
            loop.call_soon_threadsafe(arrived.put_nowait, next(iterator, None))

    threading.Thread(target=read, daemon=True).start()
    while True:
        wanted.release()
        line = await arrived.get()
        if line is None:
            return
        yield line


def lines_of(fd: int) -> Iterator[str]:
    """Read lines from a descriptor.

    Not through a file object: at the end of the process a thread may still be reading, and would hold its lock.
    """
    rest = b""
    while data := os.read(fd, _CHUNK):
        *lines, rest = (rest + data).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")
