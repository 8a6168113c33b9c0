"""Modules that are loaded when they are first used."""

import subprocess
import sys
from pathlib import Path

from qmpserver.lazily import put_off

ROOT = Path(__file__).parents[2]


def python(code: str) -> str:
    """Run code in an interpreter that has loaded nothing yet."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_module_is_loaded_when_it_is_used_and_not_when_it_is_imported() -> None:
    assert python(
        "import sys\n"
        "from qmpserver.lazily import put_off\n"
        "put_off('asyncio')\n"
        "import asyncio\n"
        "import asyncio as again\n"
        "print('asyncio.events' in sys.modules)\n"
        "print(asyncio.run(again.sleep(0, 'slept')))\n"
        "print('asyncio.events' in sys.modules, type(asyncio).__name__)\n"
    ).splitlines() == ["False", "slept", "True module"]


def test_a_part_of_a_module_that_was_put_off_can_be_imported() -> None:
    assert python(
        "from qmpserver.lazily import put_off\n"
        "put_off('asyncio', 'json')\n"
        "from asyncio import Event\n"
        "import asyncio.sslproto\n"
        "from json import loads\n"
        "print(Event.__name__, asyncio.sslproto.__name__, loads('1'))\n"
    ).split() == ["Event", "asyncio.sslproto", "1"]


def test_a_module_within_a_package_is_put_off_without_loading_the_package() -> None:
    assert python(
        "import sys\n"
        "from qmpserver.lazily import put_off\n"
        "put_off('json.tool')\n"
        "print('json' in sys.modules)\n"
        "from json import tool\n"
        "print('argparse' in sys.modules, 'json.decoder' in sys.modules)\n"
        "print(callable(tool.main), 'argparse' in sys.modules)\n"
    ).split() == ["False", "False", "True", "True", "True"]


def test_a_name_that_the_module_does_not_have_is_an_error_as_ever() -> None:
    assert (
        python(
            "from qmpserver.lazily import put_off\n"
            "put_off('json')\n"
            "import json\n"
            "try: json.nothing\n"
            "except AttributeError as error: print(error)\n"
        )
        == "module 'json' has no attribute 'nothing'\n"
    )


def test_what_is_loaded_or_does_not_exist_is_left_alone() -> None:
    before = sys.modules["subprocess"]
    put_off("subprocess", "no_module_of_that_name")
    assert sys.modules["subprocess"] is before
    assert "no_module_of_that_name" not in sys.modules


def test_threads_that_use_a_module_at_the_same_time_all_find_it_whole(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import os\nos.sched_yield(); import wave\nHERE = 1\n")
    assert (
        python(
            f"import sys, threading; sys.path.insert(0, {str(tmp_path)!r}); sys.setswitchinterval(1e-6)\n"
            "from qmpserver.lazily import put_off\n"
            "put_off('slow')\n"
            "import slow\n"
            "start, wrong = threading.Barrier(8), []\n"
            "def use():\n"
            "    start.wait()\n"
            "    try: slow.HERE\n"
            "    except Exception as error: wrong.append(error)\n"
            "threads = [threading.Thread(target=use) for _ in range(8)]\n"
            "for thread in threads: thread.start()\n"
            "for thread in threads: thread.join()\n"
            "print(wrong)\n"
        )
        == "[]\n"
    )
