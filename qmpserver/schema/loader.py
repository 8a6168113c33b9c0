"""Read the schema documents."""

from pathlib import Path

import orjson

from qmpserver.schema.model import Schema

_DIALECT = "dialect"
"""The meta-schema lies beside the documents and is none of them."""


def documents_folder() -> Path:
    """Return where the documents are: inside an installed package, else at the top of the checkout."""
    installed = Path(__file__).parent / "documents"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "schema"


def load(folder: Path | None = None) -> Schema:
    """Read every document.

    Args:
        folder: Where they are, if not where they belong.

    Raises:
        OSError: There are no documents to read.
    """
    folder = folder or documents_folder()
    documents = {
        path.stem: orjson.loads(path.read_bytes())
        for path in sorted(folder.iterdir())
        if path.suffix == ".json" and path.stem != _DIALECT
    }
    return Schema(documents)
