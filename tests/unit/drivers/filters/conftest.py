"""What the drivers log is kept, so that tests can look at it."""

import io
from collections.abc import Iterator

import pytest

from qmpserver import log


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """Return what is logged during a test."""
    stream = io.StringIO()
    log.configure(stream=stream)
    yield stream
    log.configure()
