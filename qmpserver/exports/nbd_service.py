"""Hold the one NBD server there may be."""

from typing import TYPE_CHECKING

from qmpserver.clock import Clock
from qmpserver.errors import QMPError

if TYPE_CHECKING:  # slow to import, and many servers never listen
    from qmpserver.exports.nbd_server import NbdServer, NbdServerOptions


class NbdService:
    """The NBD server, if it runs.

    Args:
        clock: What it waits by.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._server: NbdServer | None = None

    @property
    def server(self) -> "NbdServer":
        """The server.

        Raises:
            QMPError: It does not run.
        """
        if self._server is None:
            raise QMPError("NBD server not running")
        return self._server

    def check_not_running(self) -> None:
        """Refuse a second server.

        Raises:
            QMPError: There is one.
        """
        if self._server is not None:
            raise QMPError("NBD server already running")

    def start(self, options: "NbdServerOptions") -> None:
        """Listen.

        Raises:
            QMPError: It cannot be done.
        """
        from qmpserver.exports.nbd_server import NbdServer  # noqa: PLC0415 - see the module

        self.check_not_running()
        server = NbdServer(options, self._clock)
        server.open()
        self._server = server

    def stop(self) -> None:
        """Listen no more, and part with all clients; exports are the caller's to take away.

        Raises:
            QMPError: It does not run.
        """
        self.server.close()
        self._server = None

    def close(self) -> None:
        """Stop, if it runs."""
        if self._server is not None:
            self.stop()
