"""Understand the options of a `file` node, and refuse what cannot be had."""

from typing import NamedTuple, Self

from qmpserver.driver_api.opening import OpenContext
from qmpserver.errors import QMPError


class FileOptions(NamedTuple):
    """What was asked for.

    Attributes:
        filename: The path, exactly as given; no prefix is taken off.
        locking: `on`, `off` or `auto`.
        aio: `threads`, `native`, `io_uring`, or None.  One way of our own serves all of them.
    """

    filename: str
    locking: str
    aio: str | None

    @classmethod
    def from_context(cls, context: OpenContext, driver: str = "file") -> Self:
        """Take the options of a node that is being opened.

        `aio-max-batch`, `drop-cache` and `x-check-cache-dropped` tune what is not there to be tuned.

        Args:
            context: Where they are.
            driver: The driver's name, for refusals.

        Raises:
            QMPError: With QEMU's text.
        """
        given = context.options
        filename = given.get("filename", "")
        if not filename:
            raise QMPError(f"The '{driver}' block driver requires a file name")
        options = cls(filename, given.get("locking", "auto"), given.get("aio"))
        options.check_direct(direct=context.direct)
        manager = given.get("pr-manager")
        if manager is not None:
            raise QMPError(f"No persistent reservation manager with id '{manager}'")
        return options

    def check_direct(self, *, direct: bool) -> None:
        """Refuse a cache mode that contradicts the other options."""
        if self.aio == "native" and not direct:
            raise QMPError(
                "aio=native was specified, but it requires cache.direct=on, which was not specified."
            )
