"""Keep the event loop awake for a moment when a client's next command or request is about to come.

A processor that has nothing to do is put to sleep, and waking it takes longer than most commands do.
A client that sends one command after the other is therefore served at a fraction of the speed there
could be.  So after a reply to such a brisk client the loop looks for the next command a while longer
before it sleeps, and for the rest of a long request; QEMU's I/O threads do the same (`poll-max-ns`).
"""

import asyncio
from time import monotonic_ns

WINDOW_NS = 100_000
"""How soon a command must follow a reply for its client to be brisk, and how long the loop stays awake."""


class BusyPoll:
    """One per monitor or NBD server; told of commands and replies, whichever client they are of.

    It goes by the machine's own time, because it is about the machine's own processor.
    """

    __slots__ = ("_is_brisk", "_is_polling", "_last_reply_ns")

    def __init__(self) -> None:
        self._last_reply_ns = 0
        self._is_brisk = False
        self._is_polling = False

    def received(self) -> None:
        """Note that bytes came."""
        # While the loop stays awake they are in time.
        if not self._is_polling:
            self._is_brisk = monotonic_ns() - self._last_reply_ns < WINDOW_NS

    def replied(self) -> None:
        """Note that a reply was sent."""
        self._last_reply_ns = monotonic_ns()
        if self._is_brisk and not self._is_polling:
            self._is_polling = True
            asyncio.get_running_loop().call_soon(self._poll)

    def cut_short(self) -> None:
        """Note that of a request only a part came, so that its rest is on its way."""
        self.replied()

    def _poll(self) -> None:
        """Have the loop go round once more, without sleeping, while the window is open."""
        if monotonic_ns() - self._last_reply_ns < WINDOW_NS:
            asyncio.get_running_loop().call_soon(self._poll)
        else:
            self._is_polling = False
