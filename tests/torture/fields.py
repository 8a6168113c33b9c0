"""Find every field of every structure of a qcow2 image, from the specification alone."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_OFFSET = 0x00FF_FFFF_FFFF_FE00
_HEADER = (
    "magic:I version:I backing_offset:Q backing_length:I cluster_bits:I size:Q crypt:I l1_entries:I "
    "l1_offset:Q reftable_offset:Q reftable_clusters:I snapshots:I snapshot_offset:Q incompatible:Q "
    "compatible:Q autoclear:Q refcount_order:I header_length:I compression:B"
)
_SNAPSHOT = (
    "l1_offset:Q l1_entries:I id_length:H name_length:H seconds:I nanoseconds:I clock:Q state:I extra:I"
)
_EXTRA = "large_state:Q disk_size:Q icount:Q"
_BITMAP = "table:Q entries:I flags:I kind:B granularity:B name_length:H extra:I"
_LUKS = "magic:I magic_end:H version:H cipher:Q"
_LUKS_TAIL = "payload:I key_bytes:I digest:Q"
_SLOT = "active:I iterations:I salt:Q"
_SLOT_TAIL = "material:I stripes:I"
_MOST = 40
"""Entries of one table that are looked at: the first ones, which are in use."""


class Field(NamedTuple):
    """One field: what it belongs to, its name, where it is, and how :mod:`struct` calls its type."""

    structure: str
    name: str
    offset: int
    code: str

    @property
    def bits(self) -> int:
        """Its width."""
        return 8 * struct.calcsize(self.code)


class ImageFields:
    """The fields of one good image.

    Args:
        data: The image.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.cluster_size = 1 << self._word(20, "I")
        self.version = self._word(4, "I")
        self.l2_tables: list[int] = []
        self.all = [*self._header(), *self._mapping(), *self._refcounts(), *self._snapshots()]
        self.all += self._extensions()

    def structures(self) -> dict[str, list[Field]]:
        """Return the fields by what they belong to."""
        found: dict[str, list[Field]] = {}
        for field in self.all:
            found.setdefault(field.structure, []).append(field)
        return found

    def _word(self, offset: int, code: str = "Q") -> int:
        return int(struct.unpack_from(f">{code}", self._data, offset)[0])

    def _named(self, structure: str, layout: str, offset: int) -> Iterator[Field]:
        for part in layout.split():
            name, code = part.split(":")
            yield Field(structure, name, offset, code)
            offset += struct.calcsize(code)

    def _table(self, structure: str, offset: int, entries: int) -> Iterator[Field]:
        for index in range(min(entries, _MOST)):
            yield Field(structure, str(index), offset + 8 * index, "Q")

    def _header(self) -> Iterator[Field]:
        length = self._word(100, "I") if self.version > 2 else 72
        return (field for field in self._named("header", _HEADER, 0) if field.offset < length)

    def _l1(self, structure: str, offset: int, entries: int) -> Iterator[Field]:
        yield from self._table(f"{structure} L1 table", offset, entries)
        for index in range(entries):
            table = self._word(offset + 8 * index) & _OFFSET
            if table and table not in self.l2_tables:
                self.l2_tables.append(table)
                yield from self._table(f"{structure} L2 table", table, self.cluster_size // 8)

    def _mapping(self) -> Iterator[Field]:
        return self._l1("active", self._word(40), self._word(36, "I"))

    def _refcounts(self) -> Iterator[Field]:
        table, clusters = self._word(48), self._word(56, "I")
        yield from self._table("refcount table", table, min(clusters * self.cluster_size // 8, 4))
        for offset in range(self._word(table), self._word(table) + min(self.cluster_size, 256)):
            yield Field("refcount block", "counts", offset, "B")

    def _snapshots(self) -> Iterator[Field]:
        offset = self._word(64)
        for _ in range(self._word(60, "I")):
            l1, entries, id_length, name_length = struct.unpack_from(">QIHH", self._data, offset)
            extra = self._word(offset + 36, "I")
            yield from self._named("snapshot table", _SNAPSHOT, offset)
            yield from self._named("snapshot table", _EXTRA, offset + 40)
            yield from self._l1("snapshot", l1, entries)
            offset = -(-(offset + 40 + extra + id_length + name_length) // 8) * 8

    def _extensions(self) -> Iterator[Field]:
        at = self._word(100, "I") if self.version > 2 else 72
        while kind := self._word(at, "I"):
            length = self._word(at + 4, "I")
            yield from self._named("extension", "kind:I length:I", at)
            if kind == 0x23852875:
                yield from self._named("extension", "bitmaps:I reserved:I length:Q offset:Q", at + 8)
                yield from self._bitmaps(self._word(at + 24), self._word(at + 16))
            elif kind == 0x0537BE77:
                yield from self._named("extension", "offset:Q length:Q", at + 8)
                yield from self._luks(self._word(at + 8))
            at += 8 + -(-length // 8) * 8

    def _bitmaps(self, directory: int, length: int) -> Iterator[Field]:
        at = directory
        while at < directory + length:
            table, entries = self._word(at), self._word(at + 8, "I")
            yield from self._named("bitmap directory", _BITMAP, at)
            yield from self._table("bitmap table", table, entries)
            at += -(-(24 + self._word(at + 18, "H") + self._word(at + 20, "I")) // 8) * 8

    def _luks(self, offset: int) -> Iterator[Field]:
        yield from self._named("LUKS header", _LUKS, offset)
        for name, at in (("mode", 40), ("hash", 72)):
            yield Field("LUKS header", name, offset + at, "Q")
        yield from self._named("LUKS header", _LUKS_TAIL, offset + 104)
        for slot in range(offset + 208, offset + 592, 48):
            yield from self._named("LUKS header", _SLOT, slot)
            yield from self._named("LUKS header", _SLOT_TAIL, slot + 40)
