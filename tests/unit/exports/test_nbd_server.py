"""What the server tells about clients in general."""

import asyncio
from pathlib import Path

import pytest

from qmpserver.nbd.constants import TransmissionFlag
from tests.unit.exports.serving import Stage, play


@pytest.mark.parametrize(("most", "may_have_several"), [(0, True), (1, False), (2, True)])
def test_several_connections_of_a_client_are_promised_where_there_may_be_several(
    tmp_path: Path, most: int, may_have_several: bool
) -> None:
    async def body(stage: Stage) -> None:
        async with stage.client() as client:
            flags = client.agreed.export.flags
            assert bool(flags & TransmissionFlag.CAN_MULTI_CONN) is may_have_several

    play(tmp_path, body, max_connections=most)


def test_the_last_client_that_used_an_export_is_missed(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        server = stage.server.daemon.nbd.server
        gone = asyncio.Event()
        server.on_last_gone = gone.set
        stage.dial().close()
        async with stage.client():
            async with stage.client():
                pass
            while server.connections > 1:
                await asyncio.sleep(0)
            assert not gone.is_set()
        await gone.wait()

    play(tmp_path, body)
