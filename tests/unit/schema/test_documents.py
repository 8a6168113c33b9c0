"""The documents are standard JSON Schema, and in our dialect of it."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

from qmpserver.schema.loader import documents_folder

DOCUMENTS = {
    str(path.relative_to(documents_folder())): json.loads(path.read_text())
    for path in Path(documents_folder()).rglob("*.json")
}
DIALECT = DOCUMENTS.pop("dialect.json")
REGISTRY: Registry[Any] = Registry().with_resources(
    (name, Resource.from_contents(document)) for name, document in DOCUMENTS.items()
)


def stock_validator(reference: str) -> Any:
    return jsonschema.Draft202012Validator({"$ref": reference}, registry=REGISTRY)


def references(value: Any) -> Iterator[str]:
    match value:
        case {"$ref": str(reference), **_others}:
            yield reference
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(inner)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_in_the_dialect(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(DOCUMENTS[name])
    jsonschema.Draft202012Validator(DIALECT).validate(DOCUMENTS[name])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_reference_leads_somewhere(name: str) -> None:
    resolver = REGISTRY.resolver(base_uri=name)
    for reference in references(DOCUMENTS[name]):
        assert resolver.lookup(reference).contents


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_called_after_its_file(name: str) -> None:
    assert DOCUMENTS[name]["$id"] == name


def test_the_dialect_is_itself_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(DIALECT)


def test_type_names_are_unique_over_all_documents() -> None:
    names = [name for document in DOCUMENTS.values() for name in document.get("$defs", {})]
    assert len(names) == len(set(names))


def _spoil(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    document: dict[str, Any] = copy.deepcopy(DOCUMENTS["block-jobs.json"])
    change(document)
    return document


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["commands"]["block-stream"].pop("description"),
        lambda d: d["commands"]["block-stream"].pop("changes"),
        lambda d: d["commands"]["block-stream"]["arguments"].pop("additionalProperties"),
        lambda d: d["commands"]["block-stream"]["arguments"]["properties"]["speed"].pop("format"),
        lambda d: d["commands"]["block-stream"]["arguments"]["properties"]["speed"].pop("description"),
        lambda d: d["commands"]["block-stream"]["arguments"]["properties"]["base"].update({"x-names": "x"}),
        lambda d: d["commands"]["block-stream"].update(returns={"type": "object"}),
        lambda d: d["commands"].update({"Bad": d["commands"]["block-stream"]}),
        lambda d: d["events"]["BLOCK_JOB_READY"].update({"rate-limit-key": "device"}),
        lambda d: d["$defs"]["BlockdevOnError"].pop("values"),
        lambda d: d["$defs"]["BlockJobInfo"].pop("unevaluatedProperties"),
        lambda d: d["$defs"]["BlockJobInfo"].pop("discriminator"),
        lambda d: d["$defs"]["BlockJobInfoMirror"].pop("x-part"),
        lambda d: d.update(more=1),
    ],
)
def test_what_is_outside_the_dialect_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    assert not jsonschema.Draft202012Validator(DIALECT).is_valid(_spoil(change))


OPTIONS = {"driver": "qcow2", "node-name": "a", "file": {"driver": "file", "filename": "x"}, "backing": None}


@pytest.mark.parametrize(
    ("options", "is_valid"),
    [
        (OPTIONS, True),
        ({**OPTIONS, "file": "b"}, True),
        ({**OPTIONS, "file": None}, False),
        ({**OPTIONS, "file": {"driver": "file", "filename": "x", "size": 1}}, False),
        ({**OPTIONS, "offset": 1}, False),
        ({**OPTIONS, "driver": "raw"}, False),
        ({"driver": "null-co", "size": 1 << 30}, True),
        ({"driver": "bogus"}, False),
    ],
)
def test_a_stock_validator_can_use_the_files(options: dict[str, Any], is_valid: bool) -> None:
    assert stock_validator("blockdev.json#/$defs/BlockdevOptions").is_valid(options) is is_valid


def test_no_document_is_forgotten_in_the_folder() -> None:
    assert {Path(name).suffix for name in DOCUMENTS} == {".json"}
    assert len(DOCUMENTS) >= 9
