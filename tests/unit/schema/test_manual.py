import re
import shutil
import subprocess
import sys
from pathlib import Path

from qmpserver.schema.loader import load
from qmpserver.schema.manual import write_manual
from qmpserver.schema.model import Schema

ROOT = Path(__file__).parents[3]


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / "scripts" / "generate", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def copy_of_the_checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "schema", tmp_path / "schema")
    shutil.copytree(ROOT / "qmpserver", tmp_path / "qmpserver", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "generate", tmp_path / "scripts")
    return tmp_path


def test_the_manual_in_the_checkout_is_fresh() -> None:
    assert generate(ROOT, "--check").returncode == 0


def test_a_stale_manual_is_told_and_written_anew(tmp_path: Path) -> None:
    root = copy_of_the_checkout(tmp_path)
    manual = root / "schema" / "REFERENCE.md"
    fresh = manual.read_text()
    manual.write_text("old")
    stale = generate(root, "--check")
    assert stale.returncode == 1
    assert "schema/REFERENCE.md is stale" in stale.stderr
    assert manual.read_text() == "old"
    assert generate(root).returncode == 0
    assert manual.read_text() == fresh
    assert generate(root, "--check").returncode == 0


def test_an_unknown_option_is_refused() -> None:
    assert generate(ROOT, "--chekc").returncode == 2


def test_every_command_event_and_type_has_its_heading(schema: Schema) -> None:
    headings = set(re.findall(r"^### (.*)$", write_manual(schema), re.MULTILINE))
    assert headings == schema.commands.keys() | schema.events.keys() | schema.type_names.keys()


def test_every_link_leads_to_a_heading(schema: Schema) -> None:
    manual = write_manual(schema)
    headings = re.findall(r"^##+ (.*)$", manual, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", manual)) <= anchors
    assert len(anchors) == len(headings)


def test_the_manual_says_what_a_member_is(schema: Schema) -> None:
    manual = write_manual(schema)
    assert "- `speed` (int64): The most bytes per second; 0 is no limit.\n" in manual
    assert "- `base` (string, optional): " in manual
    assert "Arguments: the members of [BlockdevOptions](#blockdevoptions)." in manual
    assert "- With `driver` `null-co`: the members of [BlockdevOptionsNull](#blockdevoptionsnull)." in manual
    assert "Sent at most once in 1000 ms for each `qom-path`." in manual


def test_a_driver_added_at_run_time_is_described() -> None:
    schema = load()
    member = {"type": "string", "description": "Where it is."}
    schema.add_branch("BlockdevOptions", "theirs", {"type": "object", "properties": {"place": member}})
    assert "- With `driver` `theirs`:\n  - `place` (string, optional): Where it is." in write_manual(schema)
