"""Every command has its function with its arguments, and a difference is told by name."""

import asyncio
from pathlib import Path

import pytest

from qmpserver import binding
from qmpserver.clock import ManualClock
from qmpserver.commands import block_jobs
from qmpserver.daemon import Daemon
from qmpserver.errors import ParameterError
from qmpserver.schema.loader import load
from qmpserver.server import Server


@pytest.fixture(scope="module")
def daemon() -> Daemon:
    return Daemon(load(), ManualClock())


def test_every_command_of_the_schema_is_bound(daemon: Daemon) -> None:
    binding.check_functions(daemon.schema)
    bound = binding.bind_commands(daemon)
    assert set(bound) | binding.SESSION_COMMANDS == set(daemon.schema.commands)
    assert bound["block-job-set-speed"].changes
    assert not bound["query-block-jobs"].changes


def test_a_command_without_a_function_is_named(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(block_jobs, "query_block_jobs")
    with pytest.raises(binding.MismatchError, match="command 'query-block-jobs' has no function"):
        binding.check_functions(daemon.schema)


def test_a_function_without_a_command_is_named(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    def block_job_dance(daemon: Daemon) -> None:
        del daemon

    block_job_dance.__module__ = block_jobs.__name__
    monkeypatch.setattr(block_jobs, "block_job_dance", block_job_dance, raising=False)
    with pytest.raises(binding.MismatchError, match=r"no commands: .*block_job_dance"):
        binding.check_functions(daemon.schema)


def test_a_difference_in_arguments_shows_both_sides(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    def block_job_set_speed(daemon: Daemon, *, device: str, speed: int = 0) -> None:
        del daemon, device, speed

    block_job_set_speed.__module__ = block_jobs.__name__
    monkeypatch.setattr(block_jobs, "block_job_set_speed", block_job_set_speed)
    with pytest.raises(
        binding.MismatchError, match=r"takes device, speed, but its function takes device, \*speed"
    ):
        binding.check_functions(daemon.schema)


def test_a_difference_is_met_when_the_command_is_first_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with Server() as server:
            monkeypatch.delattr(block_jobs, "query_block_jobs")
            with pytest.raises(binding.MismatchError, match="command 'query-block-jobs' has no function"):
                await server.execute("query-block-jobs")

    asyncio.run(scenario())


def test_the_functions_of_a_machine_are_those_of_its_documents() -> None:
    binding.check_functions(load(with_machine=True))


def test_a_driver_of_another_package_is_found_when_it_is_first_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_driver.py").write_text(
        "from qmpserver.drivers.null import NullDriver\n"
        "class Theirs(NullDriver):\n"
        "    format_name = 'theirs'\n"
        "    options_schema = {'type': 'object', 'description': 'x', 'properties': {\n"
        "        'size': {'type': 'integer', 'format': 'size', 'description': 'x'}}}\n"
    )
    folder = tmp_path / "theirs-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[qmpserver.drivers]\ntheirs = their_driver:Theirs\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    async def scenario() -> None:
        async with Server() as server:
            for driver, refusal in (("nobodys", "does not accept value 'nobodys'"), ("theirs", None)):
                options = {"driver": driver, "node-name": "n", "size": 4096}
                if refusal is not None:
                    with pytest.raises(ParameterError, match=refusal):
                        await server.execute("blockdev-add", options)
                    continue
                await server.execute("blockdev-add", options)
            nodes = await server.execute("query-named-block-nodes", {"flat": True})
            assert [(node["drv"], node["image"]["virtual-size"]) for node in nodes] == [("theirs", 4096)]

    asyncio.run(scenario())
