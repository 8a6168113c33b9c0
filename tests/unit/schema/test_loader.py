import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qmpserver.schema.loader import documents_folder, load
from qmpserver.schema.model import Schema
from qmpserver.schema.qapi import Alternate, Array, Enum, Scalar, Struct, Union

ROOT = Path(__file__).parents[3]


def test_every_document_but_the_dialect_is_loaded(schema: Schema) -> None:
    names = {path.stem for path in Path(documents_folder()).glob("*.json")}
    assert set(schema.documents) == names - {"dialect"}


def test_what_is_loaded_is_found_by_name(schema: Schema) -> None:
    assert schema.commands["block-stream"].subject == "block-jobs"
    assert schema.events["JOB_STATUS_CHANGE"].subject == "job"
    assert schema.type_names["BlockdevOptions"] == "blockdev"


def test_every_type_can_be_built(schema: Schema) -> None:
    for name in schema.type_names:
        assert isinstance(schema.type(name).type, Enum | Struct | Union | Alternate)
    for command in schema.commands.values():
        assert isinstance(command.arguments, Struct | Union)
        assert isinstance(command.returns, Array | Scalar | Struct | Union)
    for event in schema.events.values():
        assert isinstance(event.data, Struct | Union)


def test_an_installed_package_has_its_documents_inside(tmp_path: Path) -> None:
    package = tmp_path / "qmpserver"
    shutil.copytree(ROOT / "qmpserver", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "schema", package / "schema" / "documents")
    count = "from qmpserver.schema.loader import load; print(len(load().commands))"
    run = subprocess.run(
        [sys.executable, "-c", count], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert int(run.stdout) == len(load().commands)


def test_another_folder_may_be_loaded(tmp_path: Path) -> None:
    command = {"description": "Say hello.", "since": "1.0", "changes": False}
    (tmp_path / "hello.json").write_text(json.dumps({"commands": {"hello": command}}))
    (tmp_path / "README.md").write_text("no document")
    assert list(load(tmp_path).commands) == ["hello"]


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        load(tmp_path / "nowhere")
