import pytest

from qmpserver.schema.loader import load
from qmpserver.schema.model import Schema


@pytest.fixture(scope="session")
def schema() -> Schema:
    return load()
