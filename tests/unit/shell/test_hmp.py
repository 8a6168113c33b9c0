import asyncio
from typing import Any

import pytest

from qmpserver.shell.hmp import COMMAND, HMPCompleter, HMPReader
from qmpserver.shell.words import LineError


def request(line: str, **chosen: int) -> dict[str, Any]:
    index = {name.replace("_", "-"): value for name, value in chosen.items()}
    return {"execute": COMMAND, "arguments": {"command-line": line, **index}}


def test_a_processor_stays_chosen_when_the_monitor_agrees() -> None:
    reader = HMPReader()
    assert reader.read("  ") is None
    assert reader.read("info cpus") == request("info cpus")
    chosen = reader.read("cpu 2")
    assert chosen == request("cpu 2", cpu_index=2)
    reader.settle(chosen, {"error": {}})
    assert reader.read("x") == request("x")
    reader.settle(chosen, {"return": ""})
    assert reader.read("x") == request("x", cpu_index=2)


@pytest.mark.parametrize("line", ["cpu", "cpu x", "cpu 1 2", "cpu -1"])
def test_a_processor_is_chosen_by_number(line: str) -> None:
    with pytest.raises(LineError, match="cpu command takes an integer argument"):
        HMPReader().read(line)


HELP = {
    "help": (
        "block_stream device [speed [base]] -- copy data\r\n"
        "c|cont  -- resume emulation\r\n"
        "info [subcommand] -- show various information about the system state\r\n"
        "\t-x is an option\r\n"
        "[the end]\r\n"
    ),
    "help info": "info block [-n] [-v] [device] -- show info of one block device\r\n",
}


def test_commands_are_learnt_from_the_monitors_help() -> None:
    async def execute(command: str, **arguments: Any) -> Any:
        return HELP[arguments["command-line"]]

    async def run() -> None:
        completer = HMPCompleter(execute)
        assert await completer.complete("") == []
        await completer.load()
        found = {
            text: [way.text for way in await completer.complete(text)]
            for text in ("", "info b", "help c", "z")
        }
        assert found == {
            "": ["block_stream", "cont", "info"],
            "info b": ["info block"],
            "help c": ["help cont"],
            "z": [],
        }
        assert (await completer.complete("con"))[0].note == "resume emulation"

    asyncio.run(run())
