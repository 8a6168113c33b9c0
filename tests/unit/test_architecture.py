"""The page that maps the house leads nowhere that is not there."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEADING = "## The origin, accounted for"
_PLACE = re.compile(r"`([a-z_0-9/]+(?:/[a-z_0-9]+)?(?:\.py)?)(?:::([A-Za-z_0-9.]+))?`")

ORIGIN = """
BLOCK_FLAG_ENCRYPT BLOCK_FLAG_COMPAT6 BLOCK_FLAG_LAZY_REFCOUNTS BLOCK_IO_LIMIT_READ BLOCK_IO_SLICE_TIME
NANOSECONDS_PER_SECOND BLOCK_OPT_SIZE BLOCK_OPT_ENCRYPT BLOCK_OPT_COMPAT6 BLOCK_OPT_BACKING_FILE BLOCK_OPT_BACKING_FMT
BLOCK_OPT_CLUSTER_SIZE BLOCK_OPT_TABLE_SIZE BLOCK_OPT_PREALLOC BLOCK_OPT_SUBFMT BLOCK_OPT_COMPAT_LEVEL
BLOCK_OPT_LAZY_REFCOUNTS BdrvTrackedRequest BlockIOLimit bps iops BlockIOBaseValue bytes ios BlockJob BlockJobType
instance_size job_type set_speed bs co cancelled busy offset len speed cb opaque BlockDriver format_name bdrv_probe
bdrv_probe_device bdrv_open bdrv_file_open bdrv_read bdrv_write bdrv_close bdrv_rebind bdrv_create bdrv_set_key
bdrv_make_empty bdrv_aio_readv bdrv_aio_writev bdrv_aio_flush bdrv_aio_discard bdrv_co_readv bdrv_co_writev
bdrv_co_write_zeroes bdrv_co_discard bdrv_co_is_allocated bdrv_invalidate_cache bdrv_co_flush_to_disk
bdrv_co_flush_to_os protocol_name bdrv_truncate bdrv_getlength bdrv_get_allocated_file_size bdrv_write_compressed
bdrv_snapshot_create bdrv_snapshot_goto bdrv_snapshot_delete bdrv_snapshot_list bdrv_snapshot_load_tmp bdrv_get_info
bdrv_save_vmstate bdrv_load_vmstate bdrv_change_backing_file bdrv_is_inserted bdrv_media_changed bdrv_eject
bdrv_lock_medium bdrv_ioctl bdrv_aio_ioctl create_options bdrv_check bdrv_debug_event bdrv_has_zero_init list
BlockDriverState total_sectors read_only keep_read_only open_flags encrypted valid_key sg copy_on_read drv dev dev_ops
dev_opaque filename backing_file backing_format is_temporary backing_hd file copy_on_read_in_flight slice_time
slice_start slice_end io_limits io_base throttled_reqs block_timer io_limits_enabled nr_bytes nr_ops total_time_ns
wr_highest_sector growable buffer_alignment enable_write_cache on_read_error on_write_error iostatus_enabled iostatus
device_name dirty_bitmap dirty_count in_use tracked_requests job get_tmp_filename bdrv_set_io_limits is_windows_drive
block_job_create block_job_sleep_ns block_job_complete block_job_set_speed block_job_cancel block_job_is_cancelled
block_job_cancel_sync stream_start
"""
"""Every member of the structs, and every function, of QEMU's ``block_int.h`` of 2012."""


def rows() -> list[list[str]]:
    """Return the cells of the table, row by row."""
    page = (ROOT / "ARCHITECTURE.md").read_text()
    section = page.partition(HEADING)[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def places(cells: list[str]) -> Iterator[tuple[Path, str]]:
    """Return the files that a row names, with what is said to be in them."""
    for folder, cell in zip(("qmpserver", "tests"), cells[1:], strict=True):
        for path, symbol in _PLACE.findall(cell):
            if "/" in path or path.endswith(".py"):
                yield ROOT / folder / path, symbol


@functools.cache
def names_in(path: Path) -> frozenset[str]:
    """Return what a file defines, members as ``Class.member``."""
    return frozenset(_defined(ast.parse(path.read_text()), ""))


def _defined(node: ast.AST, prefix: str) -> Iterator[str]:
    for inner in ast.iter_child_nodes(node):
        match inner:
            case ast.ClassDef(name=name):
                yield prefix + name
                yield from _defined(inner, f"{prefix}{name}.")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield prefix + name
                yield from _defined(inner, prefix)
            case ast.AnnAssign(target=target) | ast.Assign(targets=[target]):
                if isinstance(target, ast.Name | ast.Attribute):
                    yield prefix + (target.id if isinstance(target, ast.Name) else target.attr)


def test_every_member_of_the_origin_has_its_row() -> None:
    named = {word for cells in rows() for word in re.findall(r"`(\w+)`", cells[0])}
    assert not set(ORIGIN.split()) - named


def test_every_place_that_the_table_names_is_there() -> None:
    missing = [str(path) for cells in rows() for path, _ in places(cells) if not path.exists()]
    assert not missing


def test_every_name_that_the_table_gives_is_defined_there() -> None:
    missing = [
        f"{path}::{symbol}"
        for cells in rows()
        for path, symbol in places(cells)
        if symbol and symbol not in names_in(path)
    ]
    assert not missing


def test_every_row_has_a_place_and_a_test_or_says_that_there_is_none() -> None:
    for cells in rows():
        here, shown = cells[1:]
        is_placed = bool(_PLACE.search(here)) and bool(_PLACE.search(shown))
        assert is_placed or here.startswith("none:"), cells
