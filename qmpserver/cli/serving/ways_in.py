"""Make chardevs of what the command line says of them.

They are opened at once, so that a wrong address is told at its option; monitors are put on them at
the end.  A client that comes while options are still carried out waits in the kernel's queue, and
finds a server on which all of them have been.
"""

import os
from collections.abc import MutableMapping

from qmpserver import sockets
from qmpserver.chardevs.chardev import Chardev as OpenChardev
from qmpserver.chardevs.making import make_chardev, make_passed
from qmpserver.chardevs.options import Chardev
from qmpserver.chardevs.socket_chardev import ListeningChardev
from qmpserver.chardevs.store import ChardevStore
from qmpserver.chardevs.streams import PtyChardev
from qmpserver.cli.reports import Reporter
from qmpserver.errors import QMPError


def make_activated(environment: MutableMapping[str, str], label: str) -> list[OpenChardev]:
    """Make chardevs of the descriptors that a service manager passed.

    Args:
        environment: Says which they are.
        label: What the first is called; the others have a number as well.

    Raises:
        QMPError: There are none, or one is no socket.
    """
    descriptors = sockets.activated_fds(environment, os.getpid())
    if not descriptors:
        raise QMPError("no sockets were passed (LISTEN_FDS)")
    labels = [label, *(f"{label}.{number}" for number in range(1, len(descriptors)))]
    return [make_passed(label, fd) for label, fd in zip(labels, descriptors, strict=True)]


async def open_chardev(
    store: ChardevStore, chardev: Chardev, reporter: Reporter, written: str, *, finds_direction: bool = False
) -> OpenChardev:
    """Open a chardev, and wait for its first client where that was asked for.

    Args:
        store: Where it is to be found.
        chardev: What is wanted.
        reporter: Told of the waiting.
        written: The option, as it was written.
        finds_direction: Whether a passed descriptor listens is asked of the descriptor itself.

    Raises:
        QMPError: It cannot be had, or its label is taken.
    """
    made = make_chardev(chardev, finds_direction=finds_direction)
    await store.add(made)
    if isinstance(made, PtyChardev):
        print(f"char device redirected to {made.name} (label {made.label})", flush=True)
    if chardev.socket is not None and chardev.socket.wait:
        assert isinstance(made, ListeningChardev)
        reporter.note(f"QEMU waiting for connection on: {made.filename}", written)
        await made.first_client()
    return made
