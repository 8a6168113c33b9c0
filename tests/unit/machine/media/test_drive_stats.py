"""What is counted of a drive is shown with the nodes below it, however many there are."""

import json

from tests.unit.machine.media.fake_device import Bench, on_bench


@on_bench
async def test_a_chain_is_told_node_by_node(bench: Bench) -> None:
    await bench.node("n0")
    for number in range(1, 4):
        await bench.node(f"n{number}", "copy-on-read", file=f"n{number - 1}")
    await bench.disk("n3")
    (stats,) = bench.machine.blockstats()
    assert (stats["qdev"], stats["node-name"]) == ("disk", "n3")
    assert stats["backing"] == stats["parent"]
    assert stats["backing"]["backing"]["backing"]["node-name"] == "n0"


@on_bench
async def test_many_filters_do_not_make_an_endless_answer(bench: Bench) -> None:
    await bench.node("n0")
    for number in range(1, 40):
        await bench.node(f"n{number}", "copy-on-read", file=f"n{number - 1}")
    await bench.disk("n39")
    assert len(json.dumps(bench.machine.blockstats())) < 200_000
