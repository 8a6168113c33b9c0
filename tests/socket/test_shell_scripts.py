"""The shell with lines from a pipe, as scripts use it."""

import json
import os
import socket
import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.peers import need
from tests.socket.process import OURS, TIMEOUT_S, DaemonProcess, environment


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("server")
    with DaemonProcess("--qmp", "unix:s", folder=folder):
        yield folder / "s"


def shell(
    lines: str, *words: str, pass_fds: Sequence[int] = (), variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*OURS, "shell", *words],
        input=lines,
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        pass_fds=pass_fds,
    )


def messages(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_replies_and_events_go_to_standard_output_one_in_a_line(server: Path) -> None:
    lines = [
        "# a comment, and an empty line",
        "",
        "blockdev-add driver=null-co node-name=n size=4096 read-zeroes=true",
        "blockdev-add {'driver': 'null-co', 'node-name': 'm', 'size': 4096, 'read-zeroes': True}",
        "transaction( block-dirty-bitmap-add node=n name=b",
        'block-dirty-bitmap-add {"node": "n", "name": "c d"} )',
        "block-dirty-bitmap-merge node=n target=b bitmaps=['c d']",
        "blockdev-mirror device=n target=m sync=full job-id=j auto-finalize=false",
        '{"execute": "job-cancel", "arguments": {"id": "j"}, "id": 7}',
        "exit",
        "not-reached",
    ]
    ran = shell("\n".join(lines), str(server))
    assert (ran.returncode, ran.stderr) == (0, "")
    said = messages(ran.stdout)
    assert [message for message in said if "event" not in message] == [{"return": {}}] * 5 + [
        {"return": {}, "id": 7}
    ]
    assert {"created", "running"} <= {message["data"].get("status") for message in said if "event" in message}


def test_the_status_tells_of_a_failure_and_the_other_lines_run(server: Path) -> None:
    ran = shell("bogus\nblock-job-pause\nquery-version x\nquery-name\nquery-version", str(server))
    assert ran.returncode == 1
    assert ran.stderr == "Expected a key=value pair, got 'x'\n"
    assert [next(iter(message)) for message in messages(ran.stdout)] == ["error", "error", "error", "return"]


@pytest.mark.parametrize("first", ["bogus", "query-version x"])
def test_the_first_failure_may_be_the_end(first: str, server: Path) -> None:
    ran = shell(f"{first}\nquery-version\n", "-e", str(server))
    assert ran.returncode == 1
    assert "return" not in ran.stdout


def test_requests_are_shown_and_laid_out_on_demand_and_all_is_logged(server: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    ran = shell("query-version a.b=1", "-vp", "-l", str(log), variables={"QMP_SOCKET": str(server)})
    request = {"execute": "query-version", "arguments": {"a": {"b": 1}}}
    assert ran.stdout.startswith(json.dumps(request, indent=4, sort_keys=True) + "\n{\n")
    assert [next(iter(message)) for message in messages(log.read_text())] == ["execute", "error"]
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_an_unfinished_transaction_is_a_failure(server: Path) -> None:
    ran = shell("transaction(\nabort\n", str(server))
    assert (ran.returncode, ran.stderr, ran.stdout) == (1, "The transaction is not closed\n", "")


def test_help_comes_from_the_schema(server: Path) -> None:
    ran = shell("help job-pause\nhelp\nhelp bogus\n", str(server))
    assert "job-pause\n\nPause a job, at its next request.\n\n  id (string): The job's id.\n" in ran.stdout
    assert "begin a transaction" in ran.stdout
    assert (ran.returncode, ran.stderr) == (1, "There is no command 'bogus'\n")


def test_a_socket_may_be_inherited(server: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(server))
        ran = shell("query-version", f"fd:{client.fileno()}", pass_fds=[client.fileno()])
    assert "return" in messages(ran.stdout)[0]


def test_a_server_that_was_told_to_end_gets_no_more_lines(tmp_path: Path) -> None:
    with DaemonProcess("--qmp", "unix:s", folder=tmp_path):
        good = shell("quit", str(tmp_path / "s"))
    with DaemonProcess("--qmp", "unix:s", folder=tmp_path):
        bad = shell("quit\nquery-version\nquery-version", str(tmp_path / "s"))
    assert (good.returncode, messages(good.stdout), good.stderr) == (0, [{"return": {}}], "")
    assert (bad.returncode, messages(bad.stdout)) == (1, [{"return": {}}])
    assert bad.stderr.startswith("No reply: ")


@pytest.mark.parametrize("address", ["nowhere", "fd:999"])
def test_a_server_that_is_not_there_is_named(address: str) -> None:
    ran = shell("query-version", address)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"qmpserver: {address}: ")


def test_the_human_monitor_is_used_where_there_is_one(server: Path) -> None:
    ran = shell("info version", "-H", str(server))
    assert ran.stderr == "CommandNotFound: The command human-monitor-command has not been found\n"
    assert ran.returncode == 1


def wrapped(*command: str) -> subprocess.CompletedProcess[str]:
    return shell("query-version\nbogus\n", "--wrap", *command)


def test_a_server_may_be_started_for_the_shell() -> None:
    ran = wrapped(*OURS)
    assert [next(iter(message)) for message in messages(ran.stdout)] == ["return", "error"]
    assert ran.returncode == 1


def test_the_real_daemon_may_be_started_for_the_shell() -> None:
    ran = wrapped("timeout", "-k", "5", "30", need("qemu-storage-daemon"))
    assert [next(iter(message)) for message in messages(ran.stdout)] == ["return", "error"]


def test_a_program_that_is_no_server_is_not_waited_for() -> None:
    assert wrapped("true").stderr == "qmpserver: the server closed the connection before its greeting\n"
    missing = os.path.join(os.sep, "nowhere")
    assert wrapped(missing).stderr == f"qmpserver: {missing}: No such file or directory\n"


def test_scripts_need_no_packages_for_terminals(server: Path, tmp_path: Path) -> None:
    for package in ("prompt_toolkit", "rich"):
        (tmp_path / f"{package}.py").write_text("raise ModuleNotFoundError")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    ran = shell("query-version\nhelp\n", str(server), variables={"PYTHONPATH": path})
    assert (ran.returncode, ran.stderr) == (0, "")
