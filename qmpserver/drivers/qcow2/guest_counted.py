"""Map guest ranges of an image whose sectors the cipher counts by their guest offset."""

from collections.abc import Sequence

from qmpserver.driver_api.mapping import Mapping
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.mapping import RangeMapper


class GuestCountedMapper:
    """A mapper's answers, each with a child that knows how far host and guest offset are apart.

    Args:
        image: The image.
        mapper: The mapper.
    """

    def __init__(self, image: Image, mapper: RangeMapper) -> None:
        self._image = image
        self._mapper = mapper

    async def map(self, offset: int, length: int) -> Mapping:
        """Say where the range begins; see :meth:`MappingDriver.map`."""
        return self._seen(offset, await self._mapper.map(offset, length))

    def map_at_once(self, offset: int, length: int) -> Mapping | None:
        """Say where the range lies; see :meth:`MappingDriver.map_at_once`."""
        mapping = self._mapper.map_at_once(offset, length)
        return self._seen(offset, mapping) if mapping is not None else None

    async def map_runs(self, offset: int, length: int) -> Sequence[Mapping]:
        """Say where the range lives; see :meth:`MappingDriver.map_runs`."""
        seen = []
        for run in await self._mapper.map_runs(offset, length):
            seen.append(self._seen(offset, run))
            offset += run.length
        return seen

    def _seen(self, offset: int, mapping: Mapping) -> Mapping:
        if mapping.child is None:
            return mapping
        return mapping._replace(child=self._image.data_at(offset, mapping.offset))
