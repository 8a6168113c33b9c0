"""How large the file of an image would be: what a format needs to know, and what it answers."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

from qmpserver.driver_api.bitmaps import StoredBitmap
from qmpserver.driver_api.secrets import SecretSource, no_secrets


class Contents(NamedTuple):
    """A disk that an image is to be made of.

    Attributes:
        size: Its size in bytes.
        count_data: Returns how many bytes whole units of the given size take that hold data; may raise OSError.
        bitmaps: The bitmaps that are to be stored as well, or None where the disk could not have any.
    """

    size: int
    count_data: Callable[[int], Awaitable[int]]
    bitmaps: tuple[StoredBitmap, ...] | None = None


class Measurement(NamedTuple):
    """The size of an image's file in bytes; the members are those of QEMU's ``BlockMeasureInfo``.

    Attributes:
        required: With what it is to hold.
        fully_allocated: With all that it could hold.
        bitmaps: What the bitmaps need besides, or None where they cannot be stored.
    """

    required: int
    fully_allocated: int
    bitmaps: int | None = None


@runtime_checkable
class SupportsMeasure(Protocol):
    """A format that can tell how large the file of an image would be."""

    @classmethod
    async def measure(
        cls, options: dict[str, Any], contents: Contents | None, secrets: SecretSource = no_secrets
    ) -> Measurement:
        """Say how large it would be.

        Args:
            options: The format's ``BlockdevCreateOptions`` members, `size` among them, which counts where there are
                no contents.  Files that they name need not be there.
            contents: What is to be stored in it, or None.
            secrets: Where the secrets are that options name.

        Raises:
            QMPError: There could be no such image.
            OSError: What `contents` asks raised it.
        """
