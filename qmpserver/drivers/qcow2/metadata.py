"""Know which host clusters hold the image's own structures, so that none is ever written over."""

from qmpserver.drivers.qcow2.image import Image


class MetadataMap:
    """The clusters of one image that hold metadata, and which kind.

    Args:
        image: The image.
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        self._bits = image.cluster_bits
        self.kinds: dict[int, str] = {}
        """For each cluster, the kind of structure in it; the mapping reads this on every write."""
        self._conflicts: dict[int, str] = {}

    def add(self, offset: int, length: int, kind: str) -> None:
        """Note that a structure of that kind occupies the host range, if such are to be guarded."""
        if kind not in self._image.runtime.guarded:
            return
        for cluster in range(offset >> self._bits, (offset + length - 1 >> self._bits) + 1):
            if cluster in self.kinds:
                self._conflicts[cluster] = kind
            else:
                self.kinds[cluster] = kind

    def clear(self) -> None:
        """Forget everything."""
        self.kinds.clear()
        self._conflicts.clear()

    def remove(self, offset: int, length: int) -> None:
        """Note that the host range holds no metadata any more."""
        for cluster in range(offset >> self._bits, (offset + length - 1 >> self._bits) + 1):
            self.kinds.pop(cluster, None)
            self._conflicts.pop(cluster, None)

    def overlap(self, offset: int, length: int) -> str | None:
        """Return the kind of structure that the host range overlaps, if any."""
        first, last = offset >> self._bits, offset + length - 1 >> self._bits
        if first == last:
            return self.kinds.get(first)
        if self.kinds.keys().isdisjoint(range(first, last + 1)):
            return None
        return next(self.kinds[cluster] for cluster in range(first, last + 1) if cluster in self.kinds)

    async def guard(self, offset: int, length: int) -> None:
        """Refuse to give the host range to something new when metadata is there.

        Raises:
            CorruptImage: The range holds metadata; the image is now marked as corrupt.
        """
        kind = self.overlap(offset, length)
        if kind is not None:
            message = f"Preventing invalid write on metadata (overlaps with {kind})"
            raise await self._image.corrupt(message, offset, length)

    async def guard_structure(self, offset: int, kind: str) -> None:
        """Refuse to write a structure of one cluster when another one is in the same place.

        Raises:
            CorruptImage: It is so; the image is now marked as corrupt.
        """
        cluster = offset >> self._bits
        if cluster in self._conflicts:
            first = self.kinds[cluster]
            other = self._conflicts[cluster] if first == kind else first
            message = f"Preventing invalid write on metadata (overlaps with {other})"
            raise await self._image.corrupt(message, offset, self._image.cluster_size)
