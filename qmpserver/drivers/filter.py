"""What filters have in common: they hand everything on to the child whose data they present."""

from typing import Any, ClassVar

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.limits import Limits, inherited_limits
from qmpserver.driver_api.opening import ChildSpec
from qmpserver.driver_api.permissions import ChildRole
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.status import BlockStatus

FILTERED_FILE = ChildSpec("file", ChildRole.FILTERED | ChildRole.PRIMARY)
"""The one child of most filters."""


class FilterDriver(BlockDriver):
    """A filter that changes nothing; subclasses change what they are there for.

    Args:
        file: The child whose data is presented.
    """

    is_filter: ClassVar[bool] = True
    handles_fua: ClassVar[bool] = True
    child_specs: ClassVar[tuple[ChildSpec, ...]] = (FILTERED_FILE,)

    def __init__(self, file: BlockChild) -> None:
        self._file = file

    @property
    def size(self) -> int:
        """The size of the child."""
        return self._file.size

    @property
    def limits(self) -> Limits:
        """What the child needs of every request; what else it prefers is done at the child."""
        return merged_limits(self._file)

    @property
    def can_grow(self) -> bool:
        """It grows if the child does, which refuses by itself if it cannot."""
        return True

    @property
    def supports_compressed_writes(self) -> bool:
        """Whether the child takes them."""
        return self._file.supports_compressed_writes

    def image_info(self) -> dict[str, Any]:
        """Return nothing: what the child is like, the engine says."""
        return {}

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Fill `into` from the child."""
        await self._file.pread(offset, into, flags)

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Store `data` in the child."""
        await self._file.pwrite(offset, data, flags)

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Make the range of the child zero."""
        await self._file.pwrite_zeroes(offset, length, flags)

    async def pdiscard(self, offset: int, length: int) -> None:
        """Discard the range of the child."""
        await self._file.pdiscard(offset, length)

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Say what the child says."""
        return await self._file.block_status(offset, length)

    async def flush(self) -> None:
        """Flush the child."""
        await self._file.flush()

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Set the size of the child."""
        await self._file.truncate(size, preallocation)

    async def allocated_size(self) -> int | None:
        """Return what the child occupies."""
        return await self._file.allocated_size()


def merged_limits(*children: BlockChild) -> Limits:
    """Return the limits that the children lay on whoever uses all of them."""
    return inherited_limits([child.limits for child in children])
