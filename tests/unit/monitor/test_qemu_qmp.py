"""QEMU's own client library, over a real socket."""

from pathlib import Path

import pytest
from qemu.qmp import ExecuteError, QMPClient

from qmpserver.monitor.doors import Endpoint, open_door
from qmpserver.sockets import UnixAddress
from tests.unit.monitor.conftest import Run
from tests.unit.monitor.world import VERSION, a_world


def test_the_library_negotiates_executes_and_gets_events(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world() as world:
            path = str(tmp_path / "qmp.sock")
            door = await open_door(Endpoint(UnixAddress(path)), world.monitor, world.clock)
            client = QMPClient("test")
            await client.connect(path)
            assert client.greeting is not None
            assert client.greeting.QMP.version == VERSION
            assert await client.execute("echo", {"text": "\N{GRINNING FACE}"}) == {
                "text": "\N{GRINNING FACE}"
            }
            with pytest.raises(ExecuteError, match="Device 'x' not found"):
                await client.execute("not-found")
            await client.execute("emit", {"name": "HAPPENED", "data": {"n": 1}})
            event = await client.events.get()
            assert (event["event"], event["data"]) == ("HAPPENED", {"n": 1})
            await client.disconnect()
            await door.close()

    run(main())
