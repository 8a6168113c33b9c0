"""The `compress` filter: what is written is stored compressed, cluster by cluster."""

from typing import ClassVar, Self

from qmpserver.driver_api.flags import WRITE_COMPRESSED
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.opening import OpenContext
from qmpserver.drivers.filter import FilterDriver
from qmpserver.errors import QMPError


class CompressDriver(FilterDriver):
    """A filter that makes writes compressed.

    Writes come in whole clusters: the engine fills them up with what is there already.
    """

    format_name: ClassVar[str] = "compress"

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the filter.

        Raises:
            QMPError: The image below knows no compression.
        """
        file = context.child("file")
        assert file is not None
        if not file.supports_compressed_writes:
            raise QMPError(f"Compression is not supported for underlying format: {file.format_name}")
        return cls(file)

    @property
    def limits(self) -> Limits:
        """Whole clusters only."""
        return super().limits._replace(request_alignment=self._file.cluster_size)

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Store `data` compressed."""
        await super().pwrite(offset, data, flags | WRITE_COMPRESSED)
