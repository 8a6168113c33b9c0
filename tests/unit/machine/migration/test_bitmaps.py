"""Dirty bitmaps go along with a machine, where that is wanted."""

import zlib
from pathlib import Path
from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.machine import travelling_bitmaps
from qmpserver.machine.saved_state import SavedBitmap
from tests.images import qemu_check, qemu_img
from tests.unit.machine.migration.pairs import Pair, on_pair

KIB64 = 65536


async def add_bitmaps(pair: Pair) -> None:
    """Add three bitmaps to the source, of which two record a write, and have them go along."""
    source = pair.source
    for options in ({"name": "tmp"}, {"name": "per", "persistent": True}, {"name": "off", "disabled": True}):
        await source.do("block-dirty-bitmap-add", node="disk", **options)
    await source.write(b"2", KIB64, KIB64)
    await source.switch("dirty-bitmaps")


@on_pair
async def test_bitmaps_arrive_as_they_were_and_go_on_recording(pair: Pair) -> None:
    await add_bitmaps(pair)
    await pair.hand_over()
    assert await pair.target.bitmaps() == {
        "tmp": (KIB64, True, False, False),
        "per": (KIB64, True, True, False),
        "off": (0, False, False, False),
    }
    await pair.target.write(b"3", 2 * KIB64, KIB64)
    assert (await pair.target.bitmaps())["per"][0] == 2 * KIB64
    await pair.target.server.close()
    image = pair.folder / "disk.qcow2"
    assert qemu_check(image) == {}
    assert '"name": "per"' in qemu_img("info", "--output=json", image)


@on_pair
async def test_without_the_capability_only_what_is_in_the_image_is_there(pair: Pair) -> None:
    await add_bitmaps(pair)
    wanted = [{"capability": "dirty-bitmaps", "state": False}]
    await pair.source.do("migrate-set-capabilities", capabilities=wanted)
    await pair.hand_over()
    assert await pair.target.bitmaps() == {"per": (KIB64, True, True, False)}


@on_pair
async def test_bitmaps_that_go_along_are_busy_until_it_is_called_off(pair: Pair) -> None:
    await add_bitmaps(pair)
    await pair.source.switch("pause-before-switchover")
    await pair.target.do("migrate-incoming", uri=pair.uri)
    await pair.source.do("migrate", uri=pair.uri)
    await pair.source.until("pre-switchover")
    assert {busy for *_, busy in (await pair.source.bitmaps()).values()} == {True}
    with pytest.raises(QMPError, match=r"^Bitmap 'tmp' is currently in use by another operation"):
        await pair.source.do("block-dirty-bitmap-clear", node="disk", name="tmp")
    await pair.source.do("migrate_cancel")
    await pair.source.until("cancelled")
    assert {busy for *_, busy in (await pair.source.bitmaps()).values()} == {False}
    await pair.source.write(b"3", 2 * KIB64, KIB64)
    assert (await pair.source.bitmaps())["per"] == (2 * KIB64, True, True, False)


@on_pair
async def test_bitmaps_survive_a_migration_that_fails_after_the_images_were_released(pair: Pair) -> None:
    await add_bitmaps(pair)
    before = await pair.source.bitmaps()
    await pair.source.do("migrate", uri="exec:cat > /dev/null; exit 1")
    await pair.source.until("failed")
    assert await pair.source.bitmaps() == before


@on_pair
async def test_a_mapping_chooses_and_renames(pair: Pair) -> None:
    await add_bitmaps(pair)
    tmp = {"name": "tmp", "alias": "T"}
    nix = {"name": "nix", "alias": "N"}
    mapping = [{"node-name": "disk", "alias": "D", "bitmaps": [tmp, nix]}]
    await pair.source.do("migrate-set-parameters", block_bitmap_mapping=mapping)
    here = [{"name": "new", "alias": "T", "transform": {"persistent": True}}]
    mapping = [{"node-name": "disk", "alias": "D", "bitmaps": here}]
    await pair.target.do("migrate-set-parameters", block_bitmap_mapping=mapping)
    await pair.hand_over()
    assert await pair.target.bitmaps() == {
        "new": (KIB64, True, True, False),
        "per": (KIB64, True, True, False),
    }


@pytest.mark.parametrize("alias", ["D", "other"])
def test_what_nobody_asks_for_on_the_other_side_is_left_out(alias: str, tmp_path: Path) -> None:
    @on_pair
    async def test(pair: Pair) -> None:
        await pair.source.do("block-dirty-bitmap-add", node="disk", name="tmp")
        await pair.source.switch("dirty-bitmaps")
        there = [{"node-name": "nix", "alias": alias, "bitmaps": [{"name": "tmp", "alias": "tmp"}]}]
        await pair.target.do("migrate-set-parameters", block_bitmap_mapping=there)
        await pair.hand_over()
        assert await pair.target.bitmaps() == {}

    test(tmp_path)


@on_pair
async def test_a_bitmap_whose_name_is_taken_there_is_refused(pair: Pair) -> None:
    await add_bitmaps(pair)
    await pair.target.do("block-dirty-bitmap-add", node="disk", name="tmp")
    await pair.target.do("migrate-incoming", uri=pair.uri, exit_on_error=False)
    await pair.source.do("migrate", uri=pair.uri)
    await pair.target.until("failed")
    _, error = await pair.target.migration()
    assert error is not None
    assert error.endswith("Bitmap with the same name ('tmp') already exists on destination")
    assert list(await pair.target.bitmaps()) == ["tmp"]


@on_pair
async def test_a_bitmap_of_a_node_without_a_name_keeps_the_machine(pair: Pair) -> None:
    source = pair.source
    below = {"driver": "null-co", "size": 1 << 20}
    await source.do("blockdev-add", driver="raw", node_name="over", file=below)
    (name,) = [edge.node.node_name for edge in source.machine.graph.find("over").children.values()]
    await source.do("block-dirty-bitmap-add", node=name, name="tmp")
    await source.switch("dirty-bitmaps")
    await source.do("migrate", uri=pair.uri.replace("unix", "exec:cat > /dev/null #"))
    assert await source.until("failed") == ["setup", "active", "failing", "failed"]
    _, error = await source.migration()
    assert error == f"Bitmap 'tmp' in a node with auto-generated name '{name}' can't be migrated"


def bitmap(**change: Any) -> SavedBitmap:
    """Return a bitmap of the disk as it travels, with something changed."""
    usual: dict[str, Any] = {
        "node": "disk",
        "name": "b",
        "granularity": KIB64,
        "is_enabled": True,
        "is_persistent": False,
        "marks": zlib.compress(b"\5"),
    }
    return SavedBitmap(**usual | change)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"granularity": 3}, "Bitmap 'b' has a granularity of 3 bytes"),
        ({"granularity": 0}, "Bitmap 'b' has a granularity of 0 bytes"),
        ({"granularity": 1 << 40}, "Bitmap 'b' has a granularity of 1099511627776 bytes"),
        ({"marks": b"no zlib"}, "Bitmap 'b' is damaged"),
        ({"marks": zlib.compress(b"\5" * 2)}, "Bitmap 'b' is of a node of another size than 'disk'"),
        ({"marks": zlib.compress(bytes(1 << 24))}, "Bitmap 'b' is of a node of another size than 'disk'"),
        ({"marks": b""}, "Bitmap 'b' is of a node of another size than 'disk'"),
    ],
)
def test_a_damaged_bitmap_is_refused(change: dict[str, Any], error: str, tmp_path: Path) -> None:
    @on_pair
    async def test(pair: Pair) -> None:
        graph = pair.target.machine.graph
        ((_, made),) = travelling_bitmaps.unpack(graph, [bitmap()], None)
        assert [*made.areas()] == [(0, KIB64), (2 * KIB64, KIB64)]
        with pytest.raises(QMPError) as refused:
            travelling_bitmaps.unpack(graph, [bitmap(**change)], None)
        assert refused.value.description == error
        with pytest.raises(QMPError, match="already exists"):
            travelling_bitmaps.unpack(graph, [bitmap(), bitmap()], None)

    test(tmp_path)
