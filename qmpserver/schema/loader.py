"""Read the schema documents."""

import errno
import json
import os
from typing import TYPE_CHECKING

from qmpserver.schema.builder import Definition
from qmpserver.schema.model import Schema

if TYPE_CHECKING:  # slow to import
    from pathlib import Path

_DIALECT = "dialect"
"""The meta-schema lies beside the documents and is none of them."""

_MACHINE = "machine"
"""The folder of the documents that only a machine has."""


def documents_folder() -> str:
    """Return where the documents are: inside an installed package, else at the top of the checkout."""
    here = os.path.dirname(__file__)
    installed = os.path.join(here, "documents")
    return installed if os.path.isdir(installed) else os.path.join(here, "..", "..", "schema")


def load(folder: "Path | str | None" = None, *, with_machine: bool = False) -> Schema:
    """Read every document.

    Args:
        folder: Where they are, if not where they belong.
        with_machine: Read those too that only a machine has.

    Raises:
        OSError: There are no documents to read.
    """
    folder = str(folder or documents_folder())
    documents = _read(folder, "")
    if with_machine:
        documents |= _read(os.path.join(folder, _MACHINE), f"{_MACHINE}/")
    return Schema(documents)


def _read(folder: str, prefix: str) -> dict[str, Definition]:
    documents: dict[str, Definition] = {}
    for name in sorted(os.listdir(folder)):
        subject, suffix = os.path.splitext(name)
        if suffix == ".json" and subject != _DIALECT:
            with open(os.path.join(folder, name), "rb") as file:
                # To import orjson takes longer than it would save here.
                documents[prefix + subject] = json.loads(file.read())
    if not documents:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", folder)
    return documents
