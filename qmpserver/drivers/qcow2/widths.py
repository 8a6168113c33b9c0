"""Handle reference counts of 1 to 64 bits inside a refcount block.

Blocks stay as they are on disk: big endian, and below one byte packed from the lowest bit up.
Source: qcow2 specification, "Host cluster management".
"""


class RefcountWidth:
    """The arithmetic of one width.

    Args:
        order: Binary logarithm of the width in bits, 0 to 6.
    """

    __slots__ = ("_per_byte", "_size", "_zero", "bits", "maximum")

    def __init__(self, order: int) -> None:
        self.bits = 1 << order
        self.maximum = (1 << self.bits) - 1
        self._size = self.bits // 8
        self._per_byte = 8 // self.bits if self.bits < 8 else 0
        self._zero = bytes(self._size)

    def get(self, block: bytearray, index: int) -> int:
        """Return the count at `index`."""
        if self._per_byte:
            byte, place = divmod(index, self._per_byte)
            return block[byte] >> (place * self.bits) & self.maximum
        return int.from_bytes(block[index * self._size : (index + 1) * self._size], "big")

    def put(self, block: bytearray, index: int, value: int) -> None:
        """Store `value`, at most :attr:`maximum`, at `index`."""
        if self._per_byte:
            byte, place = divmod(index, self._per_byte)
            shift = place * self.bits
            block[byte] = block[byte] & ~(self.maximum << shift) | value << shift
        else:
            block[index * self._size : (index + 1) * self._size] = value.to_bytes(self._size, "big")

    def put_ones(self, block: bytearray, index: int, count: int) -> None:
        """Store 1 at `index` and the `count` - 1 that follow."""
        if self._per_byte:
            for each in range(index, index + count):
                self.put(block, each, 1)
        else:
            one = (1).to_bytes(self._size, "big")
            block[index * self._size : (index + count) * self._size] = one * count

    def count_used(self, block: bytearray) -> int:
        """Return how many counts are not zero."""
        if self._per_byte:
            return sum(self.get(block, index) > 0 for index in range(len(block) * self._per_byte))
        folded = 0
        for place in range(self._size):
            folded |= int.from_bytes(block[place :: self._size], "big")
        entries = len(block) // self._size
        return entries - folded.to_bytes(entries, "big").count(0)

    def last_used(self, block: bytearray) -> int:
        """Return the index of the last count that is not zero, or -1 when all are."""
        last = len(block.rstrip(b"\0")) - 1
        if last < 0 or not self._per_byte:
            return last // (self._size or 1)
        return last * self._per_byte + (block[last].bit_length() - 1) // self.bits

    def find_free(self, block: bytearray, start: int, want: int) -> tuple[int, int] | None:
        """Find the first run of zero counts at or after `start`.

        Returns:
            Its index and length, at most `want`; None when there is none.
        """
        return (
            self._find_packed(block, start, want) if self._per_byte else self._find_whole(block, start, want)
        )

    def _find_whole(self, block: bytearray, start: int, want: int) -> tuple[int, int] | None:
        size, zero = self._size, self._zero
        position = start * size
        while (position := block.find(zero, position)) >= 0:
            index = -(-position // size)
            position = index * size
            if block[position : position + size] == zero:
                run = block[position : position + want * size]
                return index, (len(run) - len(run.lstrip(b"\0"))) // size
            position += size
        return None

    def _find_packed(self, block: bytearray, start: int, want: int) -> tuple[int, int] | None:
        entries = len(block) * self._per_byte
        index = start
        while index < entries and self.get(block, index):
            index += 1
        if index >= entries:
            return None
        stop = min(index + want, entries)
        end = index + 1
        while end < stop and not self.get(block, end):
            end += 1
        return index, end - index
