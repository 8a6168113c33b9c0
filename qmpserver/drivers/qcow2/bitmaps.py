"""Keep the dirty bitmaps that are stored in an image.

Read and written: bitmaps of type "dirty tracking".  Refused by name: extra data, unknown flags.

Bitmaps are stored beside the old ones, and one sector, the first, switches from the old directory to the new.
While the image is writable every bitmap in it is marked as in use.  So a power cut at any instant leaves
bitmaps that are up to date, or such that say that they are not.

Source: qcow2 specification, "Bitmaps".
"""

from collections.abc import Sequence

from qmpserver.driver_api.bitmaps import BitRow, StoredBitmap
from qmpserver.drivers.qcow2 import bitmap_directory as directory
from qmpserver.drivers.qcow2 import extensions as ext
from qmpserver.drivers.qcow2 import kinds
from qmpserver.drivers.qcow2.backing import store_bitmap_extension
from qmpserver.drivers.qcow2.bitmap_directory import AUTO, IN_USE, DirectoryEntry, DirectoryPlace
from qmpserver.drivers.qcow2.bitmap_tables import BitmapWriter, HostRange, occupied, read_bits, read_table
from qmpserver.drivers.qcow2.commit import Committer
from qmpserver.drivers.qcow2.header import AUTOCLEAR_BITMAPS
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.metadata import MetadataMap
from qmpserver.drivers.qcow2.refcounts import Refcounts
from qmpserver.errors import QMPError
from qmpserver.units import align_up


class Bitmaps:
    """The bitmaps in one image.

    Args:
        image: The image.
        refcounts: Its reference counts.
        committer: Brings them to the disk.
        metadata: Where its structures are.

    Attributes:
        entries: The directory as it is on disk.
    """

    def __init__(
        self, image: Image, refcounts: Refcounts, committer: Committer, metadata: MetadataMap
    ) -> None:
        self._image = image
        self._refcounts = refcounts
        self._committer = committer
        self._metadata = metadata
        self.entries: list[DirectoryEntry] = []
        self._place: DirectoryPlace | None = None
        self._stale: set[bytes] = set()

    async def load(self) -> None:
        """Read the directory, if there is one that can be relied on.

        Raises:
            QMPError: It cannot be right.
            OSError: It cannot be read.
        """
        image = self._image
        self.entries, self._place, self._stale = [], None, set()
        extension = ext.find_extension(image.extensions, ext.BITMAPS)
        if extension is None or image.header.version < 3 or not image.header.autoclear & AUTOCLEAR_BITMAPS:
            return
        place = DirectoryPlace.parse(extension, image.cluster_size)
        if place.length > max(image.child.size - place.offset, 0):
            raise QMPError("Broken bitmap directory")
        stored = bytes(await image.read(place.offset, place.length))
        self.entries = directory.parse_directory(stored, place.bitmaps, image.header.size, image.cluster_size)
        for entry in self.entries:
            # What is damaged is refused before the others are marked as in use.
            if not entry.flags & IN_USE:
                await read_table(image, entry)
        self._place = place
        self._stale = {entry.name for entry in self.entries if entry.flags & IN_USE}

    def note_structures(self) -> None:
        """Note where the directory is."""
        if self._place is not None:
            self._metadata.add(self._place.offset, self._place.length, kinds.BITMAPS)

    @property
    def stored(self) -> tuple[StoredBitmap, ...]:
        """The bitmaps, in order; those in use whose content means nothing."""
        return tuple(
            StoredBitmap(
                ext.name_to_text(entry.name),
                1 << entry.granularity_bits,
                bool(entry.flags & AUTO),
                entry.name in self._stale,
            )
            for entry in self.entries
        )

    async def mark_in_use(self) -> None:
        """Have every bitmap say, durably, that it may be out of date."""
        if self._place is None or all(entry.flags & IN_USE for entry in self.entries):
            return
        entries = [entry._replace(flags=entry.flags | IN_USE) for entry in self.entries]
        await self._image.write(self._place.offset, directory.pack_directory(entries))
        await self._image.child.flush()
        self.entries = entries

    async def read(self, name: str, bits: BitRow) -> None:
        """Set those bits of an empty row that are set in a bitmap.

        Raises:
            QMPError: It is damaged.
            OSError: It cannot be read.
        """
        wanted = ext.text_to_name(name)
        entry = next((entry for entry in self.entries if entry.name == wanted), None)
        if entry is not None:
            await read_bits(self._image, entry, bits)

    def check_new(self, wanted: StoredBitmap, others: Sequence[str]) -> None:
        """Refuse a bitmap that cannot be held besides the others, in QEMU's words."""
        reason = self._refusal(wanted, {ext.text_to_name(other) for other in others})
        if reason is not None:
            raise QMPError(
                f"Can't make bitmap '{wanted.name}' persistent in '{self._image.context.node_name}': {reason}"
            )

    def _refusal(self, wanted: StoredBitmap, others: set[bytes]) -> str | None:
        image, name = self._image, ext.text_to_name(wanted.name)
        names = [*(others | {entry.name for entry in self.entries}), name]
        needed = directory.bitmap_bytes(image.header.size, wanted.granularity.bit_length() - 1)
        if image.header.version < 3:
            return "Cannot store dirty bitmaps in qcow2 v2 files"
        if len(name) > directory.MAX_NAME:
            return f"Name length exceeds maximum ({directory.MAX_NAME} characters)"
        if needed > min(directory.MAX_BITMAP_BYTES, directory.MAX_TABLE_ENTRIES * image.cluster_size):
            return "Too much space will be occupied by the bitmap. Use larger granularity"
        if len(names) > directory.MAX_BITMAPS:
            return "Maximum number of persistent bitmaps is already reached"
        if sum(map(directory.entry_length, names)) > directory.MAX_DIRECTORY_BYTES:
            return "Not enough space in the bitmap directory"
        return None

    # Changing

    async def store(self, bitmaps: Sequence[tuple[StoredBitmap, BitRow]]) -> None:
        """Store bitmaps in place of those of the same name, or after all others; see :class:`SupportsBitmaps`."""
        # QEMU: a disk without bytes has nothing to store, and a bitmap without a table is not allowed.
        if not bitmaps or not self._image.header.size:
            return
        self._image.check_sound()
        old = {entry.name: entry for entry in self.entries}
        entries = dict(old)
        writer = BitmapWriter(self._image, self._refcounts)
        replaced = [old[name] for one, _ in bitmaps if (name := ext.text_to_name(one.name)) in old]
        freed = await self._occupied(replaced)
        try:
            for wanted, bits in bitmaps:
                entry = await self._write(writer, wanted, bits)
                entries[entry.name] = entry
            await self._switch(writer, list(entries.values()))
        except BaseException:
            await writer.release()
            raise
        self._stale.difference_update(ext.text_to_name(one.name) for one, _ in bitmaps)
        await self._release(freed)

    async def _write(self, writer: BitmapWriter, wanted: StoredBitmap, bits: BitRow) -> DirectoryEntry:
        granularity_bits = wanted.granularity.bit_length() - 1
        length = directory.table_length(self._image.header.size, granularity_bits, self._image.cluster_size)
        flags = AUTO if wanted.is_enabled else 0
        table = await writer.write_bits(bits, length)
        return DirectoryEntry(ext.text_to_name(wanted.name), granularity_bits, flags, table, length)

    async def remove(self, name: str) -> None:
        """Remove a bitmap, if it is there; see :class:`SupportsBitmaps`."""
        gone = ext.text_to_name(name)
        entries = [entry for entry in self.entries if entry.name != gone]
        if len(entries) == len(self.entries):
            return
        self._image.check_sound()
        freed = await self._occupied([entry for entry in self.entries if entry.name == gone])
        writer = BitmapWriter(self._image, self._refcounts)
        try:
            await self._switch(writer, entries)
        except BaseException:
            await writer.release()
            raise
        self._stale.discard(gone)
        await self._release(freed)

    async def _switch(self, writer: BitmapWriter, entries: list[DirectoryEntry]) -> None:
        """Write a directory, and lead to it once everything it leads to is on stable storage."""
        image, old = self._image, self._place
        place = None
        if entries:
            data = directory.pack_directory(entries)
            place = DirectoryPlace(len(entries), len(data), await writer.write(data))
        await self._committer.flush()
        # From here on the new directory may be the valid one, whatever happens.
        writer.taken.clear()
        autoclear = image.header.autoclear & ~AUTOCLEAR_BITMAPS | (AUTOCLEAR_BITMAPS if entries else 0)
        await store_bitmap_extension(image, place.pack() if place is not None else None, autoclear)
        self.entries, self._place = entries, place
        if old is not None:
            self._metadata.remove(old.offset, old.length)
        self.note_structures()
        if old is not None:
            await self._release([(old.offset, self._clusters(old.length))])

    async def _occupied(self, entries: list[DirectoryEntry]) -> list[HostRange]:
        """Return what bitmaps occupy; a damaged one is let lie, for a check to find."""
        ranges: list[HostRange] = []
        for entry in entries:
            try:
                ranges += occupied(self._image, entry, await read_table(self._image, entry))
            except QMPError:
                continue
        return ranges

    async def _release(self, ranges: list[HostRange]) -> None:
        """Give up room that nothing on disk leads to any more."""
        discard = self._image.runtime.discard_other
        for offset, count in ranges:
            await self._refcounts.release(offset, count, discard=discard)

    def _clusters(self, length: int) -> int:
        return align_up(length, self._image.cluster_size) >> self._image.cluster_bits
