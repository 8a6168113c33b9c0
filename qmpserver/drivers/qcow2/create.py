"""Make new, empty images.

Source: qcow2 specification.
"""

import errno
import os
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.opening import ChildSpec
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.secrets import SecretSource, no_secrets
from qmpserver.drivers.qcow2 import extensions as ext
from qmpserver.drivers.qcow2.create_options import CreateOptions
from qmpserver.drivers.qcow2.crypt_method import METHODS
from qmpserver.drivers.qcow2.entries import ENTRY_SIZE
from qmpserver.drivers.qcow2.extensions import Extension
from qmpserver.drivers.qcow2.header import (
    AUTOCLEAR_DATA_FILE_RAW,
    COMPAT_LAZY_REFCOUNTS,
    COMPRESSION_TYPES,
    HEADER_LENGTH,
    INCOMPAT_COMPRESSION,
    INCOMPAT_DATA_FILE,
    INCOMPAT_EXTENDED_L2,
    V2_LENGTH,
    Header,
)  # fmt: skip
from qmpserver.drivers.qcow2.opening import open_image
from qmpserver.drivers.qcow2.preallocation import map_range
from qmpserver.drivers.qcow2.widths import RefcountWidth
from qmpserver.errors import QMPError, error_text
from qmpserver.units import align_up

if TYPE_CHECKING:
    from qmpserver.drivers.qcow2.encryption import NewEncryption


class _Layout(NamedTuple):
    """How many clusters the metadata of an empty image takes, and so where each part begins."""

    table_clusters: int
    blocks: int
    l1_clusters: int
    crypto_clusters: int

    @property
    def total(self) -> int:
        return self.crypto_start + self.crypto_clusters

    @property
    def crypto_start(self) -> int:
        return 1 + self.table_clusters + self.blocks + self.l1_clusters


def _plan(options: CreateOptions, crypto_bytes: int) -> _Layout:
    """Find the smallest number of refcount structures that also count themselves."""
    cluster = options.cluster_size
    per_block = cluster * 8 // options.refcount_bits
    l1_clusters = align_up(options.l1_entries * ENTRY_SIZE, cluster) // cluster
    crypto_clusters = align_up(crypto_bytes, cluster) // cluster
    layout = _Layout(1, 1, l1_clusters, crypto_clusters)
    while True:
        blocks = align_up(layout.total, per_block) // per_block
        tables = align_up(blocks * ENTRY_SIZE, cluster) // cluster
        grown = layout._replace(
            table_clusters=max(tables, layout.table_clusters), blocks=max(blocks, layout.blocks)
        )
        if grown == layout:
            return layout
        layout = grown


def _incompatible(options: CreateOptions) -> int:
    needed = (
        (options.compression != "zlib", INCOMPAT_COMPRESSION),
        (options.data_file is not None, INCOMPAT_DATA_FILE),
        (options.extended_l2, INCOMPAT_EXTENDED_L2),
    )
    return sum(bit for is_needed, bit in needed if is_needed)


def _header(options: CreateOptions, layout: _Layout, encryption: "NewEncryption | None") -> bytes:
    cluster = options.cluster_size
    header = Header(
        version=options.version,
        cluster_bits=cluster.bit_length() - 1,
        size=options.size,
        l1_entries=options.l1_entries,
        l1_offset=(1 + layout.table_clusters + layout.blocks) * cluster if layout.l1_clusters else 0,
        reftable_offset=cluster,
        reftable_clusters=layout.table_clusters,
        crypt_method=METHODS.index(encryption.method) if encryption is not None else 0,
        incompatible=_incompatible(options),
        autoclear=AUTOCLEAR_DATA_FILE_RAW if options.data_file_raw else 0,
        compatible=COMPAT_LAZY_REFCOUNTS if options.lazy_refcounts else 0,
        refcount_order=options.refcount_bits.bit_length() - 1,
        header_length=HEADER_LENGTH if options.version == 3 else V2_LENGTH,
        compression_type=COMPRESSION_TYPES.index(options.compression),
    )
    extensions = ext.feature_names(header)
    if encryption is not None:
        extensions = encryption.pointer(layout.crypto_start * cluster) + extensions
    if options.data_file is not None:
        extensions.insert(0, Extension(ext.DATA_FILE, ext.text_to_name(options.data_file.filename)))
    backing_file = options.backing_file or ""
    if options.backing_format and backing_file:
        extensions.insert(0, Extension(ext.BACKING_FORMAT, ext.text_to_name(options.backing_format)))
    laid_out = ext.lay_out(header, extensions, ext.text_to_name(backing_file))
    if laid_out is None:
        raise QMPError(
            f"Could not assign backing file '{options.backing_file}' with format "
            f"'{options.backing_format or '(null)'}': {os.strerror(errno.EINVAL)}"
        )
    return laid_out.area.ljust(cluster, b"\0")


class _CreationContext:
    """The engine's place is taken by the creation itself: its children, no options, nobody to tell.

    Args:
        file: The node that holds the image.
        options: How it is made.
        secrets: Where the secrets are that options name.
    """

    node_name = ""
    read_only = False
    discard = False
    no_io = False

    def __init__(self, file: BlockChild, options: CreateOptions, secrets: SecretSource) -> None:
        self.options: dict[str, Any] = {}
        if options.encrypt is not None:
            self.options["encrypt"] = {"key-secret": options.encrypt["key-secret"]}
        self.secret = secrets
        self._children = {"file": file, "data-file": options.data_file}

    def child(self, name: str) -> BlockChild | None:
        """Return the child of that name, if the creation has it."""
        return self._children.get(name)

    async def open_child(self, spec: ChildSpec, filename: str) -> BlockChild:
        """Refuse: the creation was handed all the files there are."""
        raise QMPError(f"'{spec.name}' is required for this image")

    def report_corruption(self, message: str, offset: int | None, length: int | None, *, fatal: bool) -> None:
        """Tell nobody: a new image has no user, and the error is raised all the same."""


async def create_image(file: BlockChild, options: CreateOptions, secrets: SecretSource = no_secrets) -> None:
    """Make an empty image in `file`, with as much preallocated as is wanted.

    Raises:
        QMPError: The backing file's name cannot be held, or the external data file cannot have the size.
        OSError: A file cannot be written.
    """
    await _write_empty(file, options, await _new_encryption(options, secrets))
    try:
        await _give_size(file, options, secrets)
    except OSError as error:
        raise OSError(
            error.errno, f"Could not resize image: {error.strerror or error_text(error)}"
        ) from error


async def _new_encryption(options: CreateOptions, secrets: SecretSource) -> "NewEncryption | None":
    if options.encrypt is None:
        return None
    from qmpserver.drivers.qcow2.encryption import NewEncryption  # noqa: PLC0415 - few images are encrypted

    return await NewEncryption.make(options.encrypt, secrets)


async def _give_size(file: BlockChild, options: CreateOptions, secrets: SecretSource) -> None:
    """Make the external data file long enough, and map what is to be mapped."""
    data_file, preallocation = options.data_file, options.preallocation
    if data_file is not None and data_file.size < options.size:
        is_metadata = preallocation is Preallocation.METADATA
        await data_file.truncate(options.size, Preallocation.OFF if is_metadata else preallocation)
    if preallocation is not Preallocation.OFF and options.size:
        parts = await open_image(_CreationContext(file, options, secrets))
        await map_range(parts.image, parts.allocator, 0, options.size, preallocation)
        await parts.committer.close()


async def _write_empty(file: BlockChild, options: CreateOptions, encryption: "NewEncryption | None") -> None:
    cluster, layout = options.cluster_size, _plan(options, encryption.header_bytes if encryption else 0)
    head = _header(options, layout, encryption)
    await _make_room(file, layout.total * cluster)
    width = RefcountWidth(options.refcount_bits.bit_length() - 1)
    per_block = cluster * 8 // options.refcount_bits
    table = array("Q")
    for index in range(layout.blocks):
        offset = (1 + layout.table_clusters + index) * cluster
        block = bytearray(cluster)
        width.put_ones(block, 0, max(min(layout.total - index * per_block, per_block), 0))
        await file.pwrite(offset, memoryview(block))
        table.append(offset)
    table.byteswap()
    await file.pwrite(cluster, memoryview(table.tobytes()))
    if encryption is not None:
        await encryption.store(file, layout.crypto_start * cluster)
    await file.flush()
    await file.pwrite(0, memoryview(head))
    await file.flush()


async def _make_room(file: BlockChild, length: int) -> None:
    """Empty the file, and make so many bytes of it zero; one of a fixed size must have them already."""
    try:
        await file.truncate(0)
        is_empty = not file.size
        await file.truncate(length)
        if not is_empty:
            # A device says yes, and holds what it held.
            await file.pwrite_zeroes(0, length)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        if file.size < length:
            raise QMPError(f"Could not write refcount table: {os.strerror(errno.ENOSPC)}") from error
        await file.pwrite_zeroes(0, length)
