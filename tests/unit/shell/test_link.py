import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from qmpserver.shell import link as link_module
from qmpserver.shell.addresses import Inherited, UnixPath
from qmpserver.shell.client import Message, NotConnected
from qmpserver.shell.link import Link
from tests.unit.shell.scripted_server import echo, serving


def test_a_lost_server_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "_DELAYS_S", (0.0, 0.001))

    async def run() -> None:
        link = Link(UnixPath(str(tmp_path / "s")))
        with pytest.raises(NotConnected):
            await link.execute("a")
        async with serving(str(tmp_path / "s")):
            await link.open()
        await link.wait_lost()
        with pytest.raises(NotConnected):
            await link.request({"execute": "a"})
        assert link.can_return
        coming = asyncio.create_task(link.reopen())
        (tmp_path / "s").unlink(missing_ok=True)
        async with serving(str(tmp_path / "s")):
            await coming
            assert (await link.execute("a"))["execute"] == "a"
            await link.close()

    asyncio.run(run())


def test_an_inherited_socket_leads_nowhere_a_second_time() -> None:
    assert not Link(Inherited(3)).can_return


def test_the_log_has_a_persons_requests_and_all_events(tmp_path: Path) -> None:
    def answer(request: Message) -> list[Any]:
        return [{"event": "E"}, *echo(request)] if request["execute"] == "a" else echo(request)

    async def run() -> None:
        log, events = io.StringIO(), list[Message]()
        async with serving(str(tmp_path / "s"), answer) as address:
            link = Link(address, log=log)
            link.subscribe(events.append)
            await link.open()
            await link.execute("not-logged")
            await link.request({"execute": "a", "id": 1})
            await link.close()
        assert [json.loads(line) for line in log.getvalue().splitlines()] == [
            {"execute": "a", "id": 1},
            {"event": "E"},
            {"return": {"execute": "a", "id": 1}, "id": 1},
        ]
        assert events == [{"event": "E"}]

    asyncio.run(run())
