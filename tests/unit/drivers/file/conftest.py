from pathlib import Path
from typing import Any

import pytest

from qmpserver.drivers.file.driver import FileDriver
from tests.unit.drivers.file.context import FileContext, OpenFile


@pytest.fixture
def open_file() -> OpenFile:
    async def opened(path: object, **given: Any) -> FileDriver:
        return await FileDriver.open(FileContext(str(path), **given))

    return opened


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image of 64 KiB that counts up."""
    path = tmp_path / "image"
    path.write_bytes(bytes(range(256)) * 256)
    return path
